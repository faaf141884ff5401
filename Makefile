# Drawoff: one word for every habit. `make help` lists them; `make score` is the whole way.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Variables, each settable on the command line (make score MODEL=noise) or in the environment; empty: not given.
# Whatever their text is, it reaches the commands through the environment alone: neither make nor a shell expands it.
override VARIABLES := MODEL COMPETITION SUBMISSION NAME SEED DEVICE PRECISION LIMIT BATCH_SIZE ARGS SCORER_ARGS CHECK_ARGS \
    GUIDANCE CAPTIONS IMAGES N FORMAT PRESET DATA DRY_RUN PYTHON TORCH_INDEX CONSTRAINTS

# Windows' Linux puts the computer's name there, which is nobody's entry.
ifneq ($(and $(value WSL_DISTRO_NAME),$(filter environment,$(origin NAME))),)
override NAME :=
endif

override GIVEN := $(strip $(foreach name,$(VARIABLES),$(if $(filter-out undefined,$(origin $(name))),$(name))))

MODEL       ?= monster
COMPETITION ?= bestiary
SUBMISSION  ?=
NAME        ?=
SEED        ?= 0
DEVICE      ?= auto
PRECISION   ?= auto
LIMIT       ?=
BATCH_SIZE  ?=
ARGS        ?=
SCORER_ARGS ?=
CHECK_ARGS  ?=
GUIDANCE    ?= 1 1.5 2 3 4 6
CAPTIONS    ?=
IMAGES      ?=
N           ?= 10000
FORMAT      ?= markdown
PRESET      ?=
DATA        ?=
DRY_RUN     ?=
PYTHON      ?= python3
TORCH_INDEX ?=
CONSTRAINTS ?= constraints.txt

# A value of the command line is a formula to make, and so is what make would hand on of variables that are not ours.
override typed := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(VARIABLES) $(typed),$(eval override $(name) := $$(value $(name))))
export GIVEN $(VARIABLES)

override installed := .venv/.complete
override python    := .venv/bin/python
override pip       := $(python) -m pip --disable-pip-version-check
override run       := $(python) targets.py

.PHONY: help env data submission score check validate leaderboard table pack train sweep bench lint test test-fast clean

help:  ## show this list
	@echo "Drawoff: a text-to-image competition in a box"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo; echo "Variables, with their values now:"
	@printf '  %-12s %s\n' \
	    MODEL "$$MODEL" COMPETITION "$$COMPETITION" \
	    SUBMISSION "$${SUBMISSION:--  (a folder or zip of your own; MODEL draws submission/out/<competition>/<model>)}" \
	    NAME "$${NAME:--  (of the entry on the board; the scorer has its own)}" SEED "$$SEED" DEVICE "$$DEVICE" \
	    PRECISION "$$PRECISION" LIMIT "$${LIMIT:--  (only the first N prompts: to try out, never ranked)}" \
	    BATCH_SIZE "$${BATCH_SIZE:--  (how many images at once; the generator has its own)}" \
	    ARGS "$${ARGS:--  (more options for the command behind the target)}" \
	    SCORER_ARGS "$${SCORER_ARGS:--  (more options for the scorer)}" \
	    GUIDANCE "$$GUIDANCE" \
	    CAPTIONS "$${CAPTIONS:--  (for make data: the file of captions that the data are made of)}" \
	    IMAGES "$${IMAGES:--  (for make data: the folder of their images)}" N "$$N  (for make data: how many of them)" \
	    FORMAT "$$FORMAT  (of make table: markdown or csv)" \
	    PRESET "$${PRESET:--  (of train MODEL=monster: bestiary or maplestory)}" \
	    DATA "$${DATA:--  (of train: a folder with a training set of your own)}" \
	    DRY_RUN "$${DRY_RUN:--  (of train MODEL=monster: 1 says what it would take)}" \
	    CHECK_ARGS "$${CHECK_ARGS:--  (more options for the gate, such as --junit FILE)}" \
	    CONSTRAINTS "$${CONSTRAINTS:--  (the newest versions that pyproject.toml allows)}" \
	    TORCH_INDEX "$${TORCH_INDEX:--  (package index for torch, such as one with CPU wheels)}"

env: $(installed)  ## make .venv with everything in it (every other target does so when it is missing)

# .venv/.complete is written last, so an environment without it is not believed. .venv/.installing is there while pip
# works; it stays behind only when pip was killed, which may leave a torn package, so the next run starts afresh.
$(installed): pyproject.toml constraints.txt
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Drawoff needs Python 3.11 or newer; $$PYTHON is $$("$$PYTHON" --version 2>&1)." \
	         "Name another: make env PYTHON=python3.12" >&2; exit 1; }
	@if [ -e .venv/.installing ]; then \
	    echo "The last installation was interrupted: starting afresh."; "$$PYTHON" -m venv --clear .venv; \
	elif ! $(pip) --version >/dev/null 2>&1; then \
	    echo "Making .venv: PyTorch and friends, some GB and some minutes, once."; "$$PYTHON" -m venv .venv; \
	fi
	@touch .venv/.installing
	@{ { [ -z "$$TORCH_INDEX" ] || \
	     $(pip) install $${CONSTRAINTS:+--constraint "$$CONSTRAINTS"} --index-url "$$TORCH_INDEX" 'torch>=2.11' torchvision; \
	   } && $(pip) install $${CONSTRAINTS:+--constraint "$$CONSTRAINTS"} --editable '.[baselines,dev]'; \
	} || { rm -f .venv/.installing; exit 1; }
	@touch $@
	@rm -f .venv/.installing
	@echo "The environment is ready: .venv"

data: $(installed)  ## make COMPETITION's data with its prepare.py, or say what of them is missing
	@$(run) data

submission: $(installed)  ## draw one image for each prompt with MODEL (resumes; says so when nothing is left to draw)
	@$(run) submission

score: $(installed)  ## draw what is missing, score it, put it on the board, show board and contact sheet
	@$(run) score

check: $(installed)  ## does SUBMISSION beat the competition's gate? (draws what MODEL lacks, measures what is new)
	@$(run) check

validate: $(installed)  ## every problem of SUBMISSION at once, before it is sent
	@$(run) validate

leaderboard: $(installed)  ## show the board: shipped baselines and local entries together
	@$(run) leaderboard

table: $(installed)  ## compare the models of COMPETITION's board: IS, FID, CLIP, PSNR, SSIM as FORMAT=markdown or csv
	@$(run) table

pack: $(installed)  ## SUBMISSION as a zip to upload (never overwrites one)
	@$(run) pack

train: $(installed)  ## train a MODEL from scratch, or the scorer's MODEL=backbones (makes its data first)
	@$(run) train

sweep: $(installed)  ## draw and score the validation prompts with MODEL at each of GUIDANCE; write the curves (CSV and PNG)
	@$(run) sweep

bench: $(installed)  ## measure the scorer: against the plain stack, stage by stage, and how it grows (nothing else may run)
	@$(run) bench

lint: $(installed)  ## ruff, formatting, who may import whom, and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@.venv/bin/mypy

test: $(installed)  ## run the tests
	@$(run) test

test-fast: $(installed)  ## run the cheaper tests: a minute on two cores
	@$(run) test-fast

clean:  ## remove caches (never .venv, data, submissions or the board)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info
	@find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
