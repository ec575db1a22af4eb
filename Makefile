# Four commands do all the set-up:
#   make scan MUSIC=~/Music    label a folder of songs
#   make serve                 a page and an API to drop songs on, on this machine alone
#   make phone                 the page that a phone installs
#   make test                  run every check
PYTHON ?= python3
export MUSIC CERT KEY

.PHONY: help scan serve phone test test-long lint bench check-arm64 reproduce-model lock clean

help:  ## Show the targets
	@grep -hE '^[a-z/0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

scan: .venv/scan/ready  ## Label the songs of MUSIC (or of a synthetic library)
	@.venv/scan/bin/python -m pocketgenre.demo "$$MUSIC"

serve: .venv/server/ready  ## Answer over HTTP what the phone would say of a song; there is a page to drop songs on
	@.venv/server/bin/serve-classifier $(SERVE)

phone: mobile_demo/web/node_modules/ready  ## Build the phone page and serve it on this machine
	@npm --prefix mobile_demo/web run --silent build -- --logLevel warn
	@cat mobile_demo/web/opening.txt
	@npm --prefix mobile_demo/web run --silent serve

test: lint .venv/scan/ready .venv/tflite-runtime/ready .venv/mediapipe/ready  ## Run the linters and all tests
	.venv/dev/bin/python -m pytest

test-long: .venv/dev/ready  ## Run the tests that take minutes: fifty kills, thousands of files
	.venv/dev/bin/python -m pytest -m long

lint: .venv/dev/ready  ## Check style and types
	.venv/dev/bin/ruff check .
	.venv/dev/bin/ruff format --check .
	.venv/dev/bin/mypy

bench: .venv/bench/ready .venv/tflite-runtime/ready  ## Measure speed ratios, each against something run beside it
	.venv/bench/bin/python -m benchmarks

check-arm64: .venv/dev/ready .venv/scan/ready .venv/tflite-runtime/ready .venv/arm64/ready  ## Compare with an emulated arm64
	.venv/dev/bin/python -m tests.arm64.check

data/musicnn: | .venv/dev/ready  ## Fetch musicnn's weights, for train-model --model musicnn
	@.venv/dev/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --dest data musicnn==0.1.0
	@rm -rf data/musicnn.part
	@.venv/dev/bin/python -m zipfile -e data/musicnn-0.1.0-*.whl data/musicnn.part
	@mv data/musicnn.part data/musicnn

# The shipped models from DATA, a folder of GTZAN with index.csv (and, if there, frames387.npz: more
# songs, known by their MFCC). Each step is done once; an interrupted one goes on.
DATA ?= gtzan
MODELS ?= pocketgenre/models
BIN = .venv/dev/bin
MFCC_SONGS = $(if $(wildcard $(DATA)/frames387.npz),--mfcc-songs $(DATA)/frames387.npz)

reproduce-model: $(addprefix $(MODELS)/,standard.tflite standard_waveform.tflite best.tflite best_waveform.tflite)  ## Train and export the shipped models from DATA

$(MODELS)/%_waveform.tflite: runs/%/run.json
	$(BIN)/export-tflite runs/$* --input waveform --out $@

$(MODELS)/%.tflite: runs/%/run.json
	$(BIN)/export-tflite runs/$* --out $@

runs/standard/run.json: | data/gtzan/dataset.json
	$(BIN)/train-model data/gtzan --model residual --members 2 --folds 5 --out runs/standard

runs/best/run.json: | data/gtzan-log-mel/dataset.json data/musicnn
	$(BIN)/train-model data/gtzan-log-mel --model musicnn --folds 5 --out runs/best

data/gtzan/dataset.json: | .venv/dev/ready
	$(BIN)/prepare-dataset $(DATA) --index $(DATA)/index.csv --spectra $(MFCC_SONGS) --out data/gtzan

data/gtzan-log-mel/dataset.json: | .venv/dev/ready
	$(BIN)/prepare-dataset $(DATA) --index $(DATA)/index.csv --features log-mel --out data/gtzan-log-mel

mobile_demo/web/node_modules/ready: mobile_demo/web/package-lock.json
	@command -v npm > /dev/null || { echo "npm is missing: install Node.js 20.19 or newer" >&2; exit 1; }
	@cd mobile_demo/web && npm ci --ignore-scripts --silent
	@touch $@

lock:  ## Renew requirements/ from pyproject.toml
	sh requirements/lock.sh

clean:  ## Remove the environments
	rm -rf .venv mobile_demo/web/node_modules mobile_demo/web/dist

.venv/arm64/ready: tests/arm64/build.sh requirements/scan.txt requirements/tflite-runtime.txt
	@echo "Setting up an arm64 Python to emulate (once)"
	@sh tests/arm64/build.sh

# One environment a role, from locked versions: scan, server, dev (everything), tflite-runtime, mediapipe.
# It is ready when all is installed; one that broke half-way is built anew.
.venv/%/ready: requirements/%.txt pyproject.toml
	@echo "Setting up .venv/$* (once)"
	@rm -rf .venv/$*
	@$(PYTHON) -m venv .venv/$* || { echo "Python's venv is missing: apt install python3-venv" >&2; exit 1; }
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/$*.txt
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
