#!/bin/sh
# Regenerates caffe_pb2, forks_pb2 and netspec_pb2, each with its .pyi. What grpcio-tools 1.62.3 writes loads with
# protobuf 4.21 to 7.36, with no warning on any. Its wheels end at Python 3.12: PYTHON=python3.12 names another interpreter.
set -eu
cd "$(dirname "$0")/.."
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --only-binary=:all: grpcio-tools==1.62.3
"$venv/bin/python" -m grpc_tools.protoc -I netspec/schema --python_out=netspec/schema --pyi_out=netspec/schema \
  caffe.proto forks.proto netspec.proto
# protoc imports a module by its file's name, the package by its own
for name in forks netspec; do
  sed -i 's/^import caffe_pb2 as/from netspec.schema import caffe_pb2 as/' "netspec/schema/${name}_pb2.py" "netspec/schema/${name}_pb2.pyi"
done
