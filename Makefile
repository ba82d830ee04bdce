# make train   the environment, the sample data, a short AlexNet run, its picture
# make test    the environment and the tests

PYTHON ?= python3
VENV ?= .venv
# A pinned build: an open range could take another, of several gigabytes. TORCH=torch takes the newest.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: env train test test-all test-oldest lint format docs schema bench wheel clean

env: $(READY)

$(READY): pyproject.toml tools/make_env.sh tests/trained/requirements.txt
	tools/make_env.sh "$(PYTHON)" "$(VENV)" "$(TORCH)"
	touch $@

train: env
	$(BIN)/netspec dataset sample
	$(BIN)/netspec train models/bvlc_alexnet/solver.prototxt --batch-size 16 --base-lr 0.0025 --max-iter 240 --display 20 \
	  --test-interval 120 --test-iter 15 --snapshot-prefix models/bvlc_alexnet/sample --overwrite
	$(BIN)/netspec draw models/bvlc_alexnet/train_val.prototxt AlexNet.png

test: env
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

test-all: env
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-oldest:
	tools/test_oldest.sh "$(PYTHON)" "$(VENV)-oldest"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	tools/lint_page.sh "$(VENV)"
	$(BIN)/pytest -q --doctest-modules netspec

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env
	$(BIN)/python -m benchmarks

docs: env
	(sed '/^<!-- netspec layers/q' docs/layers.md; echo; $(BIN)/netspec layers --format markdown) > docs/layers.md.new
	mv docs/layers.md.new docs/layers.md
	(sed '/^<!-- netspec check/q' docs/advice.md; echo; $(BIN)/netspec check --explain --format markdown) > docs/advice.md.new
	mv docs/advice.md.new docs/advice.md

schema:
	tools/regenerate_schema.sh

wheel: env
	tools/check_wheel.sh "$(VENV)"

clean:
	rm -rf $(VENV) $(VENV)-oldest build dist *.egg-info
