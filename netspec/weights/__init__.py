"""Files of weights, read to and written from {layer name: [arrays in Caffe's order and layout]}."""
