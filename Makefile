.DEFAULT_GOAL := help
BIN := .venv/bin
EXAMPLE := examples/digits
NAME := hubline
VARIANT := cpu
STACK :=
BEAM :=
INPUTS := 1000000

.PHONY: help setup run test test-fast test-faults fuzz test-both-stacks test-debian13 test-flink test-spark test-containers image bench lint format lock reference docs release clean
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Create .venv for the newest stack that this machine supports (HUBLINE_STACK=tfx-1.16 or tfx-1.21 overrides)
	@scripts/setup

run: setup  ## Run the digits example from data to a pushed model, and predict with that model
	@$(BIN)/python $(EXAMPLE)/make_data.py
	@$(BIN)/hubline run $(EXAMPLE)/pipeline.yaml
	@$(BIN)/hubline predict $(EXAMPLE)/serving $(EXAMPLE)/data/sample-*.png

test: setup  ## Run the linters and all tests
	@$(MAKE) --no-print-directory lint
	@# The longest tests start first, so that all workers stay busy until the end. There is one more worker than there are
	@# processors, because steps often wait for their own subprocesses.
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder tests/e2e tests/integration tests/unit

test-fast: setup  ## Run the fast unit tests, which train nothing, in about two minutes
	@$(BIN)/python -m pytest -n $$(nproc) --dist loadfile -m "not slow" tests/unit

test-faults: setup  ## Kill runs, fill their disk and disturb their store at many moments of every step (half an hour; CI does a part)
	@$(BIN)/python -m pytest -q tests/faults

test-both-stacks: setup  ## Run the tests that CI runs on the second stack: unit tests, a digits run, one test per integration file
	@$(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder -m both_stacks tests/e2e tests/integration tests/unit

test-debian13:  ## Run all tests on the tfx-1.21 stack in a Debian 13 chroot made with debootstrap (as root)
	@scripts/test-debian13

fuzz: setup  ## Try damaged files, archives, modules and requests, and count crashes (INPUTS=1000000)
	@$(BIN)/python -m tests.fuzz $(INPUTS)

test-flink: setup  ## Run the examples on a Flink with two TaskManagers and compare with local runs (as root, needs Java 17 and Maven)
	@BEAM=$(BEAM) scripts/test-flink

test-spark: setup  ## Run the taxi example on a standalone Spark cluster and compare with a local run (as root, needs Java 17 and Maven)
	@BEAM=$(BEAM) scripts/test-spark

test-containers: setup  ## Run the digits example in containers with KFP's local runner and compare with a local run (as root, installs docker)
	@scripts/test-containers

image:  ## Build the container image of the steps (NAME=registry/hubline VARIANT=cpu or gpu STACK=tfx-1.16 or tfx-1.21)
	@NAME=$(NAME) VARIANT=$(VARIANT) STACK=$(STACK) scripts/image

bench: setup  ## Benchmark Hubline against stock TFX and plain TensorFlow code (benchmarks/RESULTS.md)
	@$(BIN)/python $(EXAMPLE)/make_data.py
	@$(BIN)/python -m benchmarks

lint: setup  ## Check formatting, style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup  ## Apply the formatter and the linter's automatic fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock:  ## Resolve the lock files in requirements/ again
	@scripts/lock

reference: setup  ## Regenerate the JSON schema and the reference of the pipeline file
	@$(BIN)/hubline reference --output pipeline/schema.json
	@$(BIN)/hubline reference --form markdown --output docs/pipeline-file.md

docs: setup  ## Build the documentation site in site/, offline, and check every link and anchor
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html; with search: .venv/bin/python -m http.server --bind 127.0.0.1 --directory site"

release: setup  ## Build wheel, image context, documentation and SBOMs of the last commit in dist/, reproducibly
	@scripts/release

clean:  ## Remove everything that the digits example created
	rm -rf $(EXAMPLE)/data $(EXAMPLE)/modules $(EXAMPLE)/serving $(EXAMPLE)/.hubline
