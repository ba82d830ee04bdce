"""The one schema: caffe.proto, its generated module, and what protobuf does not say."""
