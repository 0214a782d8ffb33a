# `make run` and `make test` do everything from a fresh clone; `make help` lists the rest.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
CONFIG ?=
# 0: every job of `make run` starts cold (docs/architecture.md, Warm start).
WARM ?= 1
VENV ?= .venv
BIN := $(VENV)/bin
SNAKEMAKE := PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES)
OVERLAY := $(if $(CONFIG),--configfile $(CONFIG))

.DEFAULT_GOAL := help
.PHONY: help env tools gpu-env htcondor-env kubernetes-env run why paper test lint unit workflow-test test-slurm test-htcondor audit fuzz docs config lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env:  ## make the environment from the lock; does nothing when it is up to date
	@$(PYTHON) envs/bootstrap.py $(VENV)

tools: $(VENV)-tools/made  ## programs that only check: the validator of RO-Crates, pip-audit

$(VENV)-tools/made: envs/tools.lock
	@echo "making the environment of the checking programs in $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --quiet --disable-pip-version-check install --no-deps -r $<
	@touch $@

gpu-env:  ## the same with a CUDA build of torch; CUDA=cu130 chooses which
	@$(PYTHON) envs/bootstrap.py $(VENV) --torch $(or $(CUDA),cu130)

htcondor-env: env  ## add the executor for HTCondor to the environment (Linux)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps -r envs/htcondor.lock

kubernetes-env: env  ## add the executor for Kubernetes to the environment
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps -r envs/kubernetes.lock

run: env  ## environment, then the whole workflow; CONFIG=mine.yaml lays your settings over the default
	@FULLCHAIN_WARM=$(WARM) $(SNAKEMAKE) $(OVERLAY)

why: env  ## what would rerun, and for which reason
	@$(BIN)/fullchain why $(if $(CONFIG),--configfile $(CONFIG))

paper: env  ## redraw all figures, tables and the report from saved numbers, without retraining
	@$(SNAKEMAKE) $(OVERLAY) --rerun-triggers mtime --forcerun \
	  $$($(SNAKEMAKE) $(OVERLAY) --list-rules 2>/dev/null | grep _plot) paper_collect paper_report -- all

test: lint unit workflow-test docs  ## everything that has to be green

lint: env  ## style, types, and the workflow's own lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python tests/lint_workflow.py

unit: env tools  ## unit tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadfile -m "not workflow and not slurm and not htcondor"

workflow-test: env tools  ## real workflows: rerun behaviour, faults, and the test configuration end to end
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m workflow

test-slurm: env  ## start a SLURM cluster on this machine (root, Debian), run on it, break it
	bash tests/slurm/install.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m slurm tests/slurm

test-htcondor: htcondor-env  ## start an HTCondor pool on this machine (root, Debian), run on it, break it
	bash tests/htcondor/install.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m htcondor tests/htcondor

audit: tools  ## known vulnerabilities of the pinned packages; needs the advisories of PyPI
	$(VENV)-tools/bin/python envs/audit.py --program $(VENV)-tools/bin/pip-audit

fuzz: env  ## damaged files of every kind, for a long time (FUZZ=<examples each>, default 2000)
	PATH="$(CURDIR)/$(BIN):$$PATH" FULLCHAIN_FUZZ=$(or $(FUZZ),2000) $(BIN)/python -m pytest -q tests/fuzzing

docs: env  ## the documentation, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

config: env  ## write config/config.yaml and config/schema.json from the models
	$(BIN)/fullchain config --write config

lock: env  ## resolve envs/requirements.in anew, and the recipes made from the lock
	$(BIN)/python envs/lock.py

clean:  ## remove the environment and every result
	rm -rf $(VENV) $(VENV)-tools .snakemake results/*/ site
