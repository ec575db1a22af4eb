"""The same network quantized and not, and the same file in LiteRT and in its predecessor."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mobile_demo.card import read_model
from mobile_demo.classifier import FloatArray
from mobile_demo.frontend import STANDARD
from mobile_demo.runtime import RUNTIME_VARIABLE, new_interpreter
from mobile_demo.shipped import SHIPPED
from tests.conftest import REPOSITORY

OLD_PYTHON = REPOSITORY / ".venv" / "tflite-runtime" / "bin" / "python"
BATCH = 100
# Runs a batch for each line that comes, and answers with a line.
SERVE = """
import sys
import numpy as np
from mobile_demo.runtime import new_interpreter
interpreter = new_interpreter(open(sys.argv[1], "rb").read())
given, answered = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
features = np.random.default_rng(0).normal(size=given["shape"]).astype(np.float32)
for _ in sys.stdin:
    for _ in range(int(sys.argv[2])):
        interpreter.set_tensor(given["index"], features)
        interpreter.invoke()
        interpreter.get_tensor(answered["index"])
    print(flush=True)
"""


@pytest.fixture(scope="module")
def features() -> FloatArray:
    return np.random.default_rng(0).normal(size=(64, *STANDARD.shape)).astype(np.float32)


@pytest.mark.benchmark(group="The published CNN on one segment, LiteRT")
@pytest.mark.parametrize("quantization", ["float32", "float16", "dynamic", "int8"])
def test_network(benchmark, features: FloatArray, quantization: str) -> None:
    from export.convert import convert
    from export.form import Form
    from training.networks import build_network

    network = build_network("cnn", STANDARD.shape, 10, np.zeros(13), np.ones(13))
    file = convert(network, STANDARD, features, Form(quantization=quantization))
    interpreter = new_interpreter(file)
    index = interpreter.get_input_details()[0]["index"]

    def invoke() -> None:
        interpreter.set_tensor(index, features[:1])
        interpreter.invoke()

    benchmark.extra_info["bytes"] = len(file)
    benchmark(invoke)


@pytest.fixture(params=["ai-edge-litert", "tflite-runtime"])
def runtime(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    python = sys.executable if request.param == "ai-edge-litert" else str(OLD_PYTHON)
    if not Path(python).exists():
        pytest.skip("make .venv/tflite-runtime/ready builds the environment")
    return python, request.param


@pytest.mark.benchmark(group=f"{BATCH} segments through a file, in a process of its own")
@pytest.mark.parametrize("model", SHIPPED)
def test_file(benchmark, runtime: tuple[str, str], model: str) -> None:
    python, package = runtime
    read_model(SHIPPED[model])  # that it is there and whole
    server = subprocess.Popen(
        [python, "-c", SERVE, SHIPPED[model], str(BATCH)],
        cwd=REPOSITORY, env={RUNTIME_VARIABLE: package}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask() -> None:
        server.stdin.write("\n")
        server.stdin.flush()
        assert server.stdout.readline() == "\n"

    with server:
        ask()
        benchmark.pedantic(ask, rounds=20)
        server.stdin.close()
