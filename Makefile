# Drawoff: one word for every habit. `make help` lists them; `make score` is the whole way.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Variables, each settable on the command line (make score MODEL=noise) or in the environment.
MODEL       ?= monster
COMPETITION ?= bestiary
SEED        ?= 0
DEVICE      ?= auto
NAME        ?= $(MODEL)
LIMIT       ?=
BATCH_SIZE  ?=
ARGS        ?=
SCORER_ARGS ?=
PYTHON      ?= python3
TORCH_INDEX ?=

ENV := .venv/.complete
PY  := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

# my_model.py:MyModel -> my_model-MyModel, path/to/competition.toml -> to: names that are safe as one folder.
model_folder       := $(subst :,-,$(subst .py,,$(notdir $(MODEL))))$(if $(filter-out 0,$(SEED)),-seed$(SEED))
competition_folder := $(notdir $(patsubst %/,%,$(patsubst %/competition.toml,%,$(COMPETITION))))

# A submission that the user names is theirs: it is scored as it is and never drawn into.
ifeq ($(origin SUBMISSION),undefined)
draw_first := submission
endif
SUBMISSION ?= submission/out/$(competition_folder)/$(model_folder)
override SUBMISSION := $(patsubst %/,%,$(SUBMISSION))
scorecard  := $(SUBMISSION).scorecard.json
sheet      := $(SUBMISSION).sheet.png

limit      := $(if $(LIMIT),--limit '$(LIMIT)')
batch_size := $(if $(BATCH_SIZE),--batch-size '$(BATCH_SIZE)')
trainer    := $(if $(filter monster,$(MODEL)),baselines.monster.train,$(if $(filter backbones,$(MODEL)),scorer.train))

.PHONY: help env data submission score check leaderboard pack train lint test clean

help:  ## show this list
	@echo "Drawoff: a text-to-image competition in a box"
	echo
	sed -nE 's/^([a-z]+):[^#]*## (.*)$$/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) |
	    while IFS=$$'\t' read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done
	echo
	echo "Variables, with their values now:"
	printf '  %-12s %s\n' \
	    MODEL '$(MODEL)' COMPETITION '$(COMPETITION)' SUBMISSION '$(SUBMISSION)' NAME '$(NAME)' SEED '$(SEED)' \
	    DEVICE '$(DEVICE)' LIMIT '$(or $(LIMIT),-  (only the first N prompts: to try out, never ranked))' \
	    BATCH_SIZE '$(or $(BATCH_SIZE),-  (the generator'"'"'s own))' \
	    ARGS '$(or $(ARGS),-  (more options for the command behind the target))' \
	    SCORER_ARGS '$(or $(SCORER_ARGS),-  (more options for the scorer))' \
	    TORCH_INDEX '$(or $(TORCH_INDEX),-  (package index for torch, such as one with CPU wheels))'

env: $(ENV)  ## make .venv with everything in it (every other target does so when it is missing)

# .venv/.complete is written last, so an environment without it is not believed. .venv/.installing is there while pip
# works; it stays behind only when pip was killed, which may leave a torn package, so the next run starts afresh.
$(ENV): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	    echo "Drawoff needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another: make env PYTHON=python3.12" >&2; exit 1; }
	fresh=""; if [ -e .venv/.installing ]; then echo "The last installation was interrupted: starting afresh."; fresh=--clear; fi
	if [ -n "$$fresh" ] || ! $(PIP) --version >/dev/null 2>&1; then
	    echo "Making .venv: PyTorch and friends, a few GB and some minutes, once."
	    $(PYTHON) -m venv $$fresh .venv
	fi
	touch .venv/.installing
	{ $(if $(TORCH_INDEX),$(PIP) install --index-url '$(TORCH_INDEX)' 'torch>=2.11' torchvision &&) \
	  $(PIP) install --editable '.[baselines,dev]'; } || { rm -f .venv/.installing; exit 1; }
	touch $@
	rm -f .venv/.installing
	echo "The environment is ready: .venv"

data: $(ENV)  ## draw the bestiary's training and validation images (deterministic, into data/)
	@$(if $(filter bestiary,$(COMPETITION)),$(PY) -m submission.bestiary $(ARGS),
	    echo "Only the bestiary's data can be drawn; $(COMPETITION) names where its own data lies in its competition.toml." >&2; exit 2)

submission: $(ENV)  ## draw one image for each prompt with MODEL (resumes; says so when nothing is left to draw)
	@$(PY) -m baselines '$(MODEL)' --competition '$(COMPETITION)' --out '$(SUBMISSION)' --seed '$(SEED)' \
	    --device '$(DEVICE)' $(limit) $(batch_size) $(ARGS)

score: $(ENV) $(draw_first)  ## draw what is missing, score it, put it on the board, show board and contact sheet
	@$(PY) -m scorer '$(SUBMISSION)' --competition '$(COMPETITION)' --name '$(NAME)' --json '$(scorecard)' \
	    --device '$(DEVICE)' $(limit) $(SCORER_ARGS)
	$(PY) -m submission sheet '$(SUBMISSION)' --competition '$(COMPETITION)' --out '$(sheet)'
	echo
	$(PY) -m leaderboard show --competition '$(COMPETITION)'
	echo "Contact sheet: $(sheet)"

check: $(ENV)  ## does SUBMISSION beat the competition's gate? (scores it first when that was not done yet)
	@if [ ! -f '$(scorecard)' ] || [ -n "$$(find '$(SUBMISSION)' -newer '$(scorecard)' -print -quit)" ]; then $(MAKE) score; fi
	$(PY) -m leaderboard check '$(SUBMISSION)' --competition '$(COMPETITION)' $(ARGS)

leaderboard: $(ENV)  ## show the board: shipped baselines and local entries together
	@$(PY) -m leaderboard show $(ARGS)

pack: $(ENV)  ## SUBMISSION as a zip to upload (never overwrites one)
	@$(PY) -m submission pack '$(SUBMISSION)' --out submission.zip $(ARGS)

train: $(ENV)  ## train MODEL=monster, or the scorer's MODEL=backbones, from scratch
	@$(if $(trainer),$(PY) -m $(trainer) $(ARGS),
	    echo "make train trains MODEL=monster or MODEL=backbones, not $(MODEL)" >&2; exit 2)

lint: $(ENV)  ## ruff, formatting, and who may import whom
	@.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

test: $(ENV)  ## run the tests
	@$(PY) -m pytest $(ARGS)

clean:  ## remove caches and unfinished files (never .venv, data, submissions or the board)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# One shell for each recipe, so that a recipe reads as one script and stops at its first error.
.ONESHELL:
