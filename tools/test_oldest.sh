#!/usr/bin/env bash
# Runs the quick tests with the oldest releases that pyproject.toml allows, in an environment of their own:
# test_oldest.sh PYTHON VENV
# PyPI's torch of that age is the one for CUDA, and its libraries take 5 GB; with the index of the builds for the CPU in
# PIP_EXTRA_INDEX_URL pip takes the one from there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2
oldest=$(mktemp)
trap 'rm -f "$oldest"' EXIT

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
  echo "the oldest releases have wheels for Python 3.11 alone; name it with: make PYTHON=python3.11 test-oldest" >&2
  exit 1
fi
"$python" - >"$oldest" <<'END' # of every lower bound a pin; what has none (ruff and mypy are pinned) stays as it is
import re, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
for extra in (project["dependencies"], *project["optional-dependencies"].values()):
    for requirement in extra:
        if bound := re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement):
            print(f"{bound[1]}=={bound[2]}")
END
PIP_CONSTRAINT=$oldest PIP_ONLY_BINARY=:all: tools/make_env.sh "$python" "$venv" torch
OMP_NUM_THREADS=1 "$venv/bin/pytest" -n 2 -m "not slow"
