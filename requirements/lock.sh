#!/bin/sh
# Pin the versions that CI runs, for Python 3.11 on Linux, from the ranges in pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv/lock
.venv/lock/bin/python -m pip install --quiet uv
# LiteRT asks for any version; uv overlooks that 1.3 refuses Python 3.11, pip does not.
echo 'backports.strenum<1.3' > .venv/lock/constraints.txt
lock() {
    .venv/lock/bin/uv pip compile --quiet --upgrade --python-version 3.11 --python-platform linux \
        --constraint .venv/lock/constraints.txt --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@"
}
lock pyproject.toml -o requirements/scan.txt
lock pyproject.toml --extra server -o requirements/server.txt
lock pyproject.toml --extra dev -o requirements/dev.txt
lock pyproject.toml --extra bench -o requirements/bench.txt --prerelease explicit
# Without LiteRT, so that it is its predecessor that runs.
lock pyproject.toml --extra tflite-runtime -o requirements/tflite-runtime.txt \
    --no-emit-package ai-edge-litert
# MediaPipe Tasks, for the test that it loads our files; it doesn't need the project.
echo 'mediapipe>=1.2,<2' | lock - -o requirements/mediapipe.txt
