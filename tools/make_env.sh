#!/usr/bin/env bash
# Makes the virtual environment: make_env.sh PYTHON VENV TORCH
set -euo pipefail
python=$1 venv=$2 torch=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "netspec needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then # Debian keeps venv in a package of its own
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update && $sudo apt-get install -y python3-venv
fi
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "$torch"
"$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[dev]'
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement tests/trained/requirements.txt
