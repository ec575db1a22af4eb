# Set-up is part of each target:
#   make scan MUSIC=~/Music    label a folder of songs
#   make serve                 start the local test endpoint, with a page
#   make phone                 build and serve the page that a phone installs
#   make phone-wifi            the same over HTTPS, for phones in this network
#   make check                 run linters, type checks and fast tests
#   make test                  run everything that CI runs
PYTHON ?= python3
# Environment for development. To use another Python: make check PYTHON=python3.13 DEV=.venv/dev-3.13
DEV ?= .venv/dev
BIN = $(DEV)/bin
export MUSIC CERT KEY MODEL

.PHONY: help scan serve phone phone-wifi phone-dist train check check-lowest test test-long lint bench check-arm64 \
  reproduce-model lock clean

help:  ## Show the targets
	@grep -hE '^[a-z/0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

scan: .venv/scan/ready  ## Label the songs of MUSIC, or of a synthetic library
	@.venv/scan/bin/python -m pocketgenre.demo "$$MUSIC"

serve: .venv/server/ready  ## Start the local test endpoint: an API, and a page to drop songs on
	@.venv/server/bin/serve-classifier $(SERVE)

phone: mobile_demo/web/node_modules/ready  ## Build the phone page, with MODEL=FILE your own model in it, and serve it
	@npm --prefix mobile_demo/web run --silent build -- --logLevel warn
	@npm --prefix mobile_demo/web run --silent serve

phone-wifi: mobile_demo/web/node_modules/ready  ## Build the phone page and serve it over HTTPS to phones in this network
	@npm --prefix mobile_demo/web run --silent build -- --logLevel warn
	@npm --prefix mobile_demo/web run --silent serve -- --wifi

phone-dist: mobile_demo/web/node_modules/ready  ## Build the phone page for any web host
	@npm --prefix mobile_demo/web run --silent build -- --logLevel warn
	@echo "Serve mobile_demo/web/dist over HTTPS; docs/phone-page.md describes how."

train: $(DEV)/ready  ## Set up the commands for training and export
	@echo "prepare-dataset, train-model, evaluate-model, export-tflite and the others are in $(BIN)"

# The tests of the other folders start TensorFlow, servers, browsers or clusters.
FAST_TESTS = $(addprefix tests/,audio cli features jobs library models parity training/not_music) $(wildcard tests/test_*.py)

check: lint  ## Run linters, type checks and fast tests
	$(BIN)/python -m pytest -m "not slow and not long" -n auto --dist worksteal $(FAST_TESTS)

test: lint .venv/scan/ready .venv/tflite-runtime/ready .venv/mediapipe/ready  ## Run linters, type checks and all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-long: $(DEV)/ready  ## Run the tests that take minutes: fifty kills, thousands of files
	$(BIN)/python -m pytest -m long

lint: $(DEV)/ready  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench/ready .venv/tflite-runtime/ready  ## Measure speed ratios, each side by side in one run
	.venv/bench/bin/python -m benchmarks

# With the extras server and learn. TensorFlow, which train-model needs, has one version only. The types of
# NumPy 1.26 are not checked.
check-lowest: .venv/lowest/ready  ## Run fast tests with the lowest versions that pyproject.toml allows
	.venv/lowest/bin/python -m pytest -m "not slow and not long" -n auto --dist worksteal \
	    $(addprefix tests/,audio cli features jobs library models parity server test_classifier.py) \
	    --deselect "tests/cli/test_commands.py::test_unknown_option_is_a_usage_error[train-model]" \
	    --deselect tests/test_classifier.py::test_types_are_checked_by_users_tools

check-arm64: $(DEV)/ready .venv/scan/ready .venv/tflite-runtime/ready .venv/arm64/ready  ## Compare with an emulated arm64
	$(BIN)/python -m tests.arm64.check

data/musicnn:  ## Download musicnn's weights (29 MB), for train-model --model musicnn
	$(check-python)
	@$(PYTHON) -m venv --clear data/musicnn.part
	@data/musicnn.part/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --dest data musicnn==0.1.0
	@rm -rf data/musicnn.part
	@$(PYTHON) -m zipfile -e data/musicnn-0.1.0-*.whl data/musicnn.part
	@mv data/musicnn.part data/musicnn

data/not-music: | $(DEV)/ready  ## Build the recordings that are not music, from packages of Debian 12 (1.9 GB)
	@$(BIN)/python -m pocketgenre.training.not_music.build $@.part
	@mv $@.part $@

# The pretrained models from DATA, a folder of GTZAN with index.csv (and, if there, frames387.npz: more
# songs, given by their MFCC). Each step is done once; an interrupted one continues.
DATA ?= gtzan
MODELS ?= pocketgenre/models
MFCC_SONGS = $(if $(wildcard $(DATA)/frames387.npz),--mfcc-songs $(DATA)/frames387.npz)

reproduce-model: $(addprefix $(MODELS)/,standard.tflite standard_waveform.tflite best.tflite best_waveform.tflite)  ## Train and export the pretrained models from DATA

$(MODELS)/%_waveform.tflite: runs/%/run.json
	$(BIN)/export-tflite runs/$* --licence Apache-2.0 --replace --input waveform --out $@

$(MODELS)/%.tflite: runs/%/run.json
	$(BIN)/export-tflite runs/$* --licence Apache-2.0 --replace --out $@

runs/standard/run.json: | data/gtzan/dataset.json data/not-music-mfcc/dataset.json
	$(BIN)/train-model data/gtzan --model residual --members 2 --folds 5 --not-music data/not-music-mfcc --out runs/standard

runs/best/run.json: | data/gtzan-log-mel/dataset.json data/not-music-log-mel/dataset.json data/musicnn
	$(BIN)/train-model data/gtzan-log-mel --model musicnn --folds 5 --not-music data/not-music-log-mel --out runs/best

data/gtzan/dataset.json: | $(DEV)/ready
	$(BIN)/prepare-dataset $(DATA) --index $(DATA)/index.csv --spectra $(MFCC_SONGS) --out data/gtzan

data/gtzan-log-mel/dataset.json: | $(DEV)/ready
	$(BIN)/prepare-dataset $(DATA) --index $(DATA)/index.csv --features log-mel --out data/gtzan-log-mel

NOT_MUSIC = data/not-music/train --index data/not-music/train/index.csv

data/not-music-mfcc/dataset.json: | data/not-music
	$(BIN)/prepare-dataset $(NOT_MUSIC) --spectra --out data/not-music-mfcc

data/not-music-log-mel/dataset.json: | data/not-music
	$(BIN)/prepare-dataset $(NOT_MUSIC) --features log-mel --out data/not-music-log-mel

mobile_demo/web/node_modules/ready: mobile_demo/web/package-lock.json
	@command -v npm > /dev/null || { echo "npm is missing: install Node.js 20.19 or newer" >&2; exit 1; }
	@cd mobile_demo/web && npm ci --ignore-scripts --silent
	@touch $@

lock:  ## Renew requirements/ from pyproject.toml
	sh requirements/lock.sh

clean:  ## Remove the environments and what builds left
	rm -rf .venv build *.egg-info mobile_demo/web/node_modules mobile_demo/web/dist

.venv/arm64/ready: tests/arm64/build.sh requirements/scan.txt requirements/tflite-runtime.txt
	@echo "Setting up an arm64 Python to emulate (once)"
	@sh tests/arm64/build.sh

# One environment per role, from locked versions: scan, server, dev (everything), lowest, tflite-runtime, mediapipe.
# The file `ready` is written last, so that an interrupted installation starts again.
.venv/dev-%/ready: requirements/dev.txt pyproject.toml
	$(call install,.venv/dev-$*,$<)

.venv/%/ready: requirements/%.txt pyproject.toml
	$(call install,.venv/$*,$<)

define check-python
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "$(PYTHON) is $$($(PYTHON) -V), but Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
endef

define install
	$(check-python)
	@echo "Setting up $(1) (once)"
	@rm -rf $(1)
	@$(PYTHON) -m venv $(1) || { echo "Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(1)/ready
endef
