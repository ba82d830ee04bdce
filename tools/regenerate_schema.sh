#!/bin/sh
# Regenerates caffe_pb2.py and caffe_pb2.pyi. What grpcio-tools 1.62.3 writes loads with protobuf 4.21 to 7.36,
# with no warning on any. Its wheels end at Python 3.12: PYTHON=python3.12 names another interpreter.
set -eu
cd "$(dirname "$0")/.."
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --only-binary=:all: grpcio-tools==1.62.3
"$venv/bin/python" -m grpc_tools.protoc -I netspec/schema --python_out=netspec/schema --pyi_out=netspec/schema caffe.proto
