#!/usr/bin/env bash
# Builds the sdist and, from it, the wheel into dist/; installs the wheel into a fresh environment and runs it from an
# empty folder: check_wheel.sh VENV
# torch and the other dependencies are those of VENV, found by a path file: to install them anew would take minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$venv/bin/python" -m build --outdir "$work/dist" "$root" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mkdir -p "$root/dist"
cp "$work"/dist/* "$root/dist/"

holds() { # holds LIST NAME…: every name ends a line of the list
  local list=$1 name
  shift
  for name; do
    grep -q "\(^\|/\)$name\$" "$list" || { echo "$(basename "$list") lacks $name" >&2; exit 1; }
  done
}
"$venv/bin/python" -m zipfile -l "$work"/dist/*.whl | awk '{print $1}' >"$work/wheel"
tar -tzf "$work"/dist/*.tar.gz >"$work/sdist"
holds "$work/wheel" netspec/py.typed netspec/schema/caffe.proto netspec/schema/forks.proto netspec/schema/known_names.tsv \
  netspec/schema/caffe_pb2.pyi netspec/schema/forks_pb2.pyi netspec/page/static/page.js netspec/serving/page/page.js licenses/LICENSE
holds "$work/sdist" netspec/py.typed netspec/schema/caffe.proto docs/getting_started.md models/bvlc_alexnet/train_val.prototxt \
  tests/conftest.py tools/draw_net.py CHANGELOG.md CONTRIBUTING.md LICENSE Makefile
if grep -E '^(tests|tools|benchmarks|models)/' "$work/wheel" || grep -E '/models/.*\.(caffemodel|solverstate)' "$work/sdist"; then
  echo "these do not belong there" >&2
  exit 1
fi

"$venv/bin/python" -m venv "$work/fresh"
# before the path file: pip would take VENV's editable netspec for this one
"$work/fresh/bin/pip" install --quiet --disable-pip-version-check --no-deps "$work"/dist/*.whl
site=$("$work/fresh/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/dependencies.pth"

unset PYTHONPATH
mkdir "$work/empty"
cd "$work/empty"
bin=$work/fresh/bin
"$bin/python" -c "import netspec, sys; sys.exit(not netspec.__file__.startswith('$site'))"
"$bin/netspec" layers >/dev/null
"$bin/netspec" layers Pooling >/dev/null # reads caffe.proto and forks.proto
"$bin/netspec" shapes "$root/models/mnist_alexnet/deploy.prototxt" >/dev/null
"$bin/netspec" check "$root/models/mnist_alexnet/deploy.prototxt" 2>/dev/null
PATH=$venv/bin:$PATH "$bin/netspec" draw "$root/models/mnist_alexnet/deploy.prototxt" net.svg >/dev/null
"$bin/python" -c "import netspec; netspec.compile('$root/models/mnist_alexnet/deploy.prototxt')"
ls -l "$root/dist" | awk 'NR > 1 {print "dist/" $NF ", " $5 " bytes"}'
