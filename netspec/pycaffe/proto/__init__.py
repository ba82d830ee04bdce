"""caffe.proto: the messages of Caffe's files."""

from netspec.schema import caffe_pb2 as caffe_pb2
