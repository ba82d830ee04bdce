"""caffe.proto: the messages of Caffe's files, with those of its forks."""
