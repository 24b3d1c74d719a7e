.DEFAULT_GOAL := help
export TF_USE_LEGACY_KERAS = 1
BIN := .venv/bin

.PHONY: help setup
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv for the stack this machine can run (HUBLINE_STACK=tfx-1.16 or tfx-1.21 overrides)
	@scripts/setup
