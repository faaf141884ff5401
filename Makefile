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
CHECK_ARGS  ?=
GUIDANCE    ?= 1 1.5 2 3 4 6
CAPTIONS    ?=
IMAGES      ?=
N           ?= 10000
FORMAT      ?= markdown
PYTHON      ?= python3
TORCH_INDEX ?=
CONSTRAINTS ?= constraints.txt

# Windows' Linux puts the computer's name there, which is nobody's entry.
ifneq ($(and $(WSL_DISTRO_NAME),$(filter environment,$(origin NAME))),)
NAME := $(MODEL)
endif

ENV := .venv/.complete
PY  := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

# my_model.py:MyModel -> my_model-MyModel, path/to/competition.toml -> to: names that are safe as one folder.
model_folder       := $(subst :,-,$(subst .py,,$(notdir $(MODEL))))$(if $(filter-out 0,$(SEED)),-seed$(SEED))
competition_folder := $(notdir $(patsubst %/,%,$(patsubst %/competition.toml,%,$(COMPETITION))))

# A submission that the user names is theirs: it is scored as it is and never drawn into.
ifeq ($(SUBMISSION),)
draw_first := submission
override SUBMISSION := submission/out/$(competition_folder)/$(model_folder)
endif
override SUBMISSION := $(patsubst %/,%,$(SUBMISSION))
scorecard  := $(SUBMISSION)$(if $(LIMIT),.first-$(LIMIT)).scorecard.json
sheet      := $(SUBMISSION).sheet.png

# The gate reads the scorecard: it is made first when there is none, or the submission is newer.
ifneq ($(filter check,$(MAKECMDGOALS)),)
score_first := $(shell [ -f '$(scorecard)' ] && [ -z "$$(find '$(SUBMISSION)' -newer '$(scorecard)')" ] || echo score)
endif

constrained := $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)')
limit      := $(if $(LIMIT),--limit '$(LIMIT)')
batch_size := $(if $(BATCH_SIZE),--batch-size '$(BATCH_SIZE)')
trainers   := \
    monster=baselines.monster.train \
    stable=baselines.stable_diffusion.train \
    glide=baselines.glide.train \
    vq=baselines.vq_diffusion.train \
    clip-guided=baselines.clip_guided.train \
    backbones=scorer.train
trainer    := $(patsubst $(MODEL)=%,%,$(filter $(MODEL)=%,$(trainers)))
trainable  := $(foreach one,$(trainers),$(firstword $(subst =, ,$(one))))

.PHONY: help env data submission score check leaderboard table pack train sweep bench lint test clean

help:  ## show this list
	@echo "Drawoff: a text-to-image competition in a box"; echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo; echo "Variables, with their values now:"
	@printf '  %-12s %s\n' \
	    MODEL '$(MODEL)' COMPETITION '$(COMPETITION)' SUBMISSION '$(SUBMISSION)' NAME '$(NAME)' SEED '$(SEED)' \
	    DEVICE '$(DEVICE)' LIMIT '$(or $(LIMIT),-  (only the first N prompts: to try out, never ranked))' \
	    BATCH_SIZE '$(or $(BATCH_SIZE),-  (how many images at once; the generator has its own))' \
	    ARGS '$(or $(ARGS),-  (more options for the command behind the target))' \
	    SCORER_ARGS '$(or $(SCORER_ARGS),-  (more options for the scorer))' \
	    GUIDANCE '$(GUIDANCE)' \
	    CAPTIONS '$(or $(CAPTIONS),-  (coco2014: its captions_val2014.json))' \
	    IMAGES '$(or $(IMAGES),-  (coco2014: the folder of its images))' N '$(N)  (coco2014: how many of them)' \
	    FORMAT '$(FORMAT)  (of make table: markdown or csv)' \
	    CHECK_ARGS '$(or $(CHECK_ARGS),-  (more options for the gate, such as --junit FILE))' \
	    CONSTRAINTS '$(or $(CONSTRAINTS),-  (the newest versions that pyproject.toml allows))' \
	    TORCH_INDEX '$(or $(TORCH_INDEX),-  (package index for torch, such as one with CPU wheels))'

env: $(ENV)  ## make .venv with everything in it (every other target does so when it is missing)

# .venv/.complete is written last, so an environment without it is not believed. .venv/.installing is there while pip
# works; it stays behind only when pip was killed, which may leave a torn package, so the next run starts afresh.
$(ENV): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Drawoff needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another: make env PYTHON=python3.12" >&2; exit 1; }
	@if [ -e .venv/.installing ]; then \
	    echo "The last installation was interrupted: starting afresh."; $(PYTHON) -m venv --clear .venv; \
	elif ! $(PIP) --version >/dev/null 2>&1; then \
	    echo "Making .venv: PyTorch and friends, some GB and some minutes, once."; $(PYTHON) -m venv .venv; \
	fi
	@touch .venv/.installing
	@{ $(if $(TORCH_INDEX),$(PIP) install $(constrained) --index-url '$(TORCH_INDEX)' 'torch>=2.11' torchvision &&) \
	   $(PIP) install $(constrained) --editable '.[baselines,dev]'; } || { rm -f .venv/.installing; exit 1; }
	@touch $@
	@rm -f .venv/.installing
	@echo "The environment is ready: .venv"

data: $(ENV)  ## draw the bestiary's training images, make coco2014 of CAPTIONS and IMAGES, or say what is missing
ifeq ($(competition_folder),bestiary)
	@$(PY) -m submission.bestiary $(ARGS)
else ifeq ($(competition_folder),coco2014)
	@$(PY) -m submission.coco $(if $(CAPTIONS),--captions '$(CAPTIONS)') $(if $(IMAGES),--images '$(IMAGES)') \
	    --n '$(N)' --seed '$(SEED)' $(ARGS)
else
	@$(PY) -m submission data --competition '$(COMPETITION)'
endif

submission: $(ENV)  ## draw one image for each prompt with MODEL (resumes; says so when nothing is left to draw)
	@$(PY) -m baselines '$(MODEL)' --competition '$(COMPETITION)' --out '$(SUBMISSION)' --seed '$(SEED)' \
	    --device '$(DEVICE)' $(limit) $(batch_size) $(ARGS)

score: $(ENV) $(draw_first)  ## draw what is missing, score it, put it on the board, show board and contact sheet
	@$(PY) -m scorer '$(SUBMISSION)' --competition '$(COMPETITION)' --name '$(NAME)' --json '$(scorecard)' \
	    --device '$(DEVICE)' $(limit) $(SCORER_ARGS)
	@$(PY) -m submission sheet '$(SUBMISSION)' --competition '$(COMPETITION)' --out '$(sheet)'
	@echo
	@$(PY) -m leaderboard show --competition '$(COMPETITION)'
	@echo "Contact sheet: $(sheet)"

check: $(ENV) $(score_first)  ## does SUBMISSION beat the competition's gate? (scores it first when it was not, or changed)
	@$(PY) -m leaderboard check '$(SUBMISSION)' --competition '$(COMPETITION)' $(CHECK_ARGS)

table: $(ENV)  ## compare the models of COMPETITION's board: IS, FID, CLIP, PSNR, SSIM as FORMAT=markdown or csv
	@$(PY) -m leaderboard table --competition '$(COMPETITION)' --format '$(FORMAT)' $(ARGS)

leaderboard: $(ENV)  ## show the board: shipped baselines and local entries together
	@$(PY) -m leaderboard show $(ARGS)

pack: $(ENV)  ## SUBMISSION as a zip to upload (never overwrites one)
	@$(PY) -m submission pack '$(SUBMISSION)' --competition '$(COMPETITION)' --out submission.zip $(ARGS)

train: data  ## train a MODEL from scratch, or the scorer's MODEL=backbones
ifneq ($(trainer),)
	@$(PY) -m $(trainer) $(ARGS)
else
	@echo "make train knows how to train $(trainable), not $(MODEL)." >&2; exit 2
endif

sweep: data  ## draw and score the validation prompts with MODEL at each of GUIDANCE; write the curves (CSV and PNG)
	@$(PY) -m baselines.sweep '$(MODEL)' --guidance $(GUIDANCE) --device '$(DEVICE)' $(ARGS)

bench: $(ENV)  ## measure the scorer: against the plain stack, stage by stage, and how it grows (nothing else may run)
	@$(PY) -m benchmarks.scorer $(ARGS)

lint: $(ENV)  ## ruff, formatting, and who may import whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports

test: $(ENV)  ## run the tests
	@$(PY) -m pytest $(ARGS)

clean:  ## remove caches (never .venv, data, submissions or the board)
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache *.egg-info
	@find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
