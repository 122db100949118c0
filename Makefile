# Everything a person needs is one command. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Most tests wait for brokers: three processes also on two cores.
TEST_PROCESSES ?= 3
STAMP  := $(VENV)/.installed
BUILT  := $(VENV)/.built
KERNEL := $(wildcard twin_app/kernel/*.py twin_app/kernel/*.pxd twin_app/kernel/steps/*.py twin_app/kernel/steps/*.pxd)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types imports schemas bench bench-kernel bench-codecs bench-takeover fuzz check-deploy simulate chaos soak clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(BUILT)  ## make the virtual environment with the locked packages; compile the kernel where there is a C compiler
# The lock is complete: nothing is resolved. Byte code is made when a module is first imported.
$(STAMP): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile -r requirements.lock
	@touch $(STAMP)
$(BUILT): $(STAMP) pyproject.toml setup.py $(KERNEL)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(BUILT)

demo: setup  ## a broker, two workers and a plant on this machine: machine B breaks, a worker is killed, nothing is lost
	$(BIN)/twin demo

test: setup  ## all tests; also on a real Apache Kafka where Java 17 and Maven are found
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal

lint: setup  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## static types
	$(BIN)/mypy

imports: setup  ## the arrows between the rooms
	$(BIN)/lint-imports

schemas: setup  ## write schemas/, docs/asyncapi.json and the reference of records from the classes
	$(BIN)/python -m topics.schemas write
	$(BIN)/python -m topics.asyncapi > docs/asyncapi.json
	$(BIN)/python -m topics.reference > docs/reference/records.md

bench: setup  ## every figure beside its peers, about twenty minutes on two cores; SUITES="ingest latency" for some of them
	$(BIN)/python -m benchmarks $(SUITES)

bench-kernel: setup  ## the kernel against idiomatic SimPy, in one run
	$(BIN)/python -m benchmarks.kernel

bench-codecs: setup  ## our event encoder against bare fastavro, in one run
	$(BIN)/python -m benchmarks.codecs

check-deploy: setup  ## rules, dashboards and the chart, asked of promtool and helm themselves
	deploy/check.sh

fuzz: setup  ## a minute of coverage-guided fuzzing of each decoder, by atheris, which is installed for it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	$(BIN)/python -m tests.fuzz command --seconds 60
	$(BIN)/python -m tests.fuzz checkpoint --seconds 60

simulate: setup  ## 10,000 simulations of the whole system; a failure is one line with the seed that repeats it
	$(BIN)/python -m tests.dst --runs 10000 --processes $$(nproc)

chaos: setup  ## 200 kills and the other failures, on a real Kafka; bounded, but long
	TWIN_TEST_KILLS=200 TWIN_TEST_ROUNDS=10 TWIN_TEST_BROKERS=kafka $(BIN)/python -m pytest --timeout 3600 tests/chaos tests/streaming

soak: setup  ## 20 minutes of live twins under load on a real Kafka: memory and descriptors stay flat, the events are golden
	$(BIN)/python -m benchmarks.soak --minutes 20

bench-takeover: setup  ## kill -9 with 10,000 entities in progress on a real Kafka: until the next event; speed of replay
	$(BIN)/python -m benchmarks.takeover

clean:  ## remove what the commands above have made
	rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
