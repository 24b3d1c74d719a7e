.DEFAULT_GOAL := help
BIN := .venv/bin
EXAMPLE := examples/digits
NAME := hubline
VARIANT := cpu
STACK :=

.PHONY: help setup run test test-fast test-both-stacks test-debian13 test-flink test-containers image bench lint format lock reference clean
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv for the stack this machine can run (HUBLINE_STACK=tfx-1.16 or tfx-1.21 overrides)
	@scripts/setup

run: setup  ## Run the digits example, from data to a pushed model, and ask that model
	@$(BIN)/python $(EXAMPLE)/make_data.py
	@$(BIN)/hubline run $(EXAMPLE)/pipeline.yaml
	@$(BIN)/hubline predict $(EXAMPLE)/serving $(EXAMPLE)/data/sample-*.png

test: setup  ## Run the linters and all tests
	@$(MAKE) --no-print-directory lint
	@# The longest first, so that all workers are at work until the end; one more than there are processors, as steps
	@# often wait for processes of their own.
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder tests/e2e tests/integration tests/unit

test-fast: setup  ## Run the tests that take seconds
	@$(BIN)/python -m pytest tests/unit

test-both-stacks: setup  ## Run the unit tests, a digits run and a test of each integration file, as CI does on the second stack
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder -m both_stacks tests/e2e tests/integration tests/unit

test-debian13:  ## Run all tests on the tfx-1.21 stack in a Debian 13 root made with debootstrap (as root)
	@scripts/test-debian13

test-flink: setup  ## Run the tests of Beam's engines on a real Flink too (Java 17, Maven)
	@scripts/test-flink

test-containers: setup  ## Run the digits example in containers with KFP's local runner, and compare (installs docker as root)
	@scripts/test-containers

image:  ## Build the image of a run's steps (NAME=registry/hubline VARIANT=cpu or gpu STACK=tfx-1.16 or tfx-1.21)
	@NAME=$(NAME) VARIANT=$(VARIANT) STACK=$(STACK) scripts/image

bench: setup  ## Measure against the stock way and bare loops, in one run (benchmarks/RESULTS.md)
	@$(BIN)/python $(EXAMPLE)/make_data.py
	@$(BIN)/python -m benchmarks

lint: setup  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup  ## Mend what the formatter and linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock:  ## Resolve the locks in requirements/ again
	@scripts/lock

reference: setup  ## Write the JSON schema and the reference of the pipeline file again
	@$(BIN)/hubline reference --output pipeline/schema.json
	@$(BIN)/hubline reference --form markdown --output docs/pipeline-file.md

clean:  ## Remove what the example made
	rm -rf $(EXAMPLE)/data $(EXAMPLE)/modules $(EXAMPLE)/serving $(EXAMPLE)/.hubline
