#!/bin/sh
# Lock the versions that CI runs, from the ranges in pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv/lock
.venv/lock/bin/python -m pip install --quiet uv
# ai-edge-litert allows any version; backports.strenum 1.3 refuses Python 3.11, which uv overlooks.
echo 'backports.strenum<1.3' > .venv/lock/constraints.txt
lock() {
    .venv/lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 \
        --constraint .venv/lock/constraints.txt --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
# One file for Python 3.11, 3.12 and 3.13 on all systems; markers select the versions.
lock --universal pyproject.toml -o requirements/scan.txt
lock --universal pyproject.toml --extra server -o requirements/server.txt
lock --universal pyproject.toml --extra dev -o requirements/dev.txt
# These packages have wheels for Python 3.11 on Linux only.
linux="--python-platform linux"
lock $linux pyproject.toml --extra bench -o requirements/bench.txt --prerelease explicit
# The lowest versions that pyproject.toml allows, with the tools for tests as in dev.txt.
grep -E '^(httpx|hypothesis|librosa|playwright|psutil|pytest[a-z-]*|schemathesis)==' requirements/dev.txt \
    > .venv/lock/tools.txt
lock $linux --resolution lowest-direct pyproject.toml .venv/lock/tools.txt --extra learn --extra server \
    -o requirements/lowest.txt
# Without LiteRT, so that its predecessor is used.
lock $linux pyproject.toml --extra tflite-runtime -o requirements/tflite-runtime.txt \
    --no-emit-package ai-edge-litert
# MediaPipe Tasks, for the test that it loads our models. It does not need the project.
echo 'mediapipe>=1.2,<2' | lock $linux - -o requirements/mediapipe.txt
