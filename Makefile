# Two commands do everything on a fresh machine with Python 3.11+ and make: `make repro` and `make test`. A third builds a
# study of studies/, or queues its experiments: make study STUDY=smoke [SWEEP="train.steps=12,24 seed=1,2,3"]. JOBS=1 builds
# one stage after another.
PYTHON ?= python3
VENV := .venv
# Stages are started as `python -m stages.X`: that python must be the environment's.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# A study bootstraps its base or names a local folder by default; hubs are reached only where a study names one.
export TOKENIZERS_PARALLELISM := true

.PHONY: repro study test quick lint types clean

repro: $(VENV)/installed
	python -m tools.tidy
	@python -m tools.disk
	@python -m tools.repro $(if $(JOBS),-j $(JOBS))
	@python -m tools.results

# make exports what is set on its command line, so that a sweep arrives with its quotes.
study: $(VENV)/installed
	python -m tools.study $(STUDY) $(if $(SWEEP),--queue "$$SWEEP")
	$(if $(SWEEP),,@$(MAKE) --no-print-directory repro)

# Tests that share a built study run in one process (loadgroup); the others fill the other cores.
test: $(VENV)/installed
	HF_HUB_OFFLINE=1 python -m pytest -n auto --dist loadgroup

# For the edit loop: without what builds whole graphs or takes long.
quick: $(VENV)/installed
	HF_HUB_OFFLINE=1 python -m pytest -q -n auto -m "not graph and not slow"

lint: $(VENV)/installed
	ruff check stages tools tests benchmarks
	ruff format --check stages tools tests benchmarks

types: $(VENV)/installed
	mypy

# The lock holds the tested set; pyproject.toml holds the ranges.
$(VENV)/installed: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.lock
	touch $@

clean:
	rm -rf $(VENV) .state .pytest_cache .mypy_cache .ruff_cache
