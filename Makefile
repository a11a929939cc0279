# Every verb that a developer or CI needs; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTEST := .venv/bin/pytest
SHELL_SCRIPTS = $(shell grep -rlE "^\#!.*\bbash" hack .ci bench)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use it

.PHONY: dev
dev: setup ## The shop as processes of this machine, no cluster: an order and its mail; Ctrl-C ends it
	@hack/dev

.PHONY: demo
demo: setup ## Bare machine to a mailed order: cluster, operator, shop, one order's journey
	hack/demo

.PHONY: deploy
deploy: setup ## Bring cluster, platform, operator and shop to this checkout's state
	hack/deploy

.PHONY: undeploy
undeploy: ## Take shop, operator and platform out of the cluster, keep the cluster
	hack/deploy --remove

.PHONY: kind-up
kind-up: setup ## The kind cluster alone
	hack/cluster up

.PHONY: images
images: setup ## Build our four images
	hack/images

.PHONY: sbom
sbom: setup ## Write what is in our images to build/sbom (CycloneDX)
	hack/images --sbom

.PHONY: clean
clean: ## Remove the kind cluster and build/
	hack/cluster down
	rm -rf build

.PHONY: distclean
distclean: clean ## Also remove caches, images and .venv
	hack/cluster purge
	rm -rf .venv

##@ Work on it

.PHONY: setup
setup: ## Development environment: .venv with everything pinned
	@hack/setup

.PHONY: setup-tests
setup-tests: ## The same, and PostgreSQL and Java for the integration tests
	@hack/setup --tests

.PHONY: fmt
fmt: setup ## Format and mend what can be mended
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: lint
lint: setup ## Style, layers, shell scripts
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/shellcheck $(SHELL_SCRIPTS)

.PHONY: typecheck
typecheck: setup ## mypy, strict
	.venv/bin/mypy

.PHONY: generate
generate: setup ## Write what is generated: CRD copy, tables of values, image tags, contracts
	hack/gen-crds
	hack/gen-values
	hack/gen-tags
	hack/gen-contracts

.PHONY: lock
lock: setup ## Write requirements/*.txt from the members' pyproject.toml
	hack/gen-requirements

.PHONY: verify
verify: lint typecheck generate ## All static gates; fails when generated files are stale
	git diff --exit-code -- charts crds docs examples
	@! git ls-files --others --exclude-standard -- charts crds docs | grep . # generated, not added

.PHONY: docs
docs: setup ## The site of docs/, in build/site; fetches nothing
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

##@ Test it

.PHONY: test
test: setup-tests ## Unit, chart and integration tests (real Kafka, PostgreSQL; Vault if built)
	hack/artifact kafka helm >/dev/null
	$(PYTEST) -m "not long and not e2e" tests/unit tests/charts tests/integration

.PHONY: test-unit
test-unit: setup ## Unit tests alone, seconds
	$(PYTEST) -m "not long" tests/unit

.PHONY: test-integration
test-integration: setup-tests ## Integration tests alone
	hack/artifact kafka >/dev/null
	$(PYTEST) -m "not long" tests/integration

.PHONY: test-e2e
test-e2e: setup ## On the kind cluster: brings it up, deploys, then asks it
	hack/deploy
	$(PYTEST) -m "e2e and not long" tests/e2e

.PHONY: test-long
test-long: setup-tests ## What takes longer than a minute
	$(PYTEST) -m long tests

.PHONY: bench-services
bench-services: setup-tests ## Measure the services: table, plots and build/bench/services.json
	hack/artifact kafka >/dev/null
	bench/services

.PHONY: bench-operator
bench-operator: setup-tests ## Measure the operator: table, plot and build/bench/operator.json
	hack/artifact kafka kubernetes vault helm >/dev/null
	bench/operator

.PHONY: faults
faults: setup-tests ## 150 faults against the running services: nothing lost, nothing doubled
	hack/artifact kafka >/dev/null
	PYTHONPATH=tests .venv/bin/python -m faults --faults 150 --minutes 12
	PYTHONPATH=tests .venv/bin/python -m faults.simulation --schedules 10000

.PHONY: faults-mutations
faults-mutations: setup-tests ## Take each guard away: the fault suite must notice
	hack/artifact kafka >/dev/null
	PYTHONPATH=tests .venv/bin/python -m faults --mutations

.PHONY: faults-long
faults-long: setup-tests ## 2,000 faults, then the mutations
	hack/artifact kafka >/dev/null
	PYTHONPATH=tests .venv/bin/python -m faults --faults 2000 --minutes 150 --rate 15
	PYTHONPATH=tests .venv/bin/python -m faults --mutations
