"""The same network quantized and not, and the same file in LiteRT and in its predecessor."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import FloatArray
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.models.interpreter import RUNTIME_VARIABLE, create_interpreter
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import REPOSITORY

OLD_PYTHON = REPOSITORY / ".venv" / "tflite-runtime" / "bin" / "python"
BATCH = 100
# Runs a batch for each line that comes, and answers with a line.
SERVE = """
import sys
import numpy as np
from pocketgenre.models.interpreter import create_interpreter
interpreter = create_interpreter(open(sys.argv[1], "rb").read())
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
    return np.random.default_rng(0).normal(size=(64, *MFCC_CONFIG.shape)).astype(np.float32)


@pytest.mark.benchmark(group="The published CNN on one segment, LiteRT")
@pytest.mark.parametrize("quantization", ["float32", "float16", "dynamic", "int8"])
def test_network(benchmark, features: FloatArray, quantization: str) -> None:
    from pocketgenre.export.convert import convert
    from pocketgenre.export.variants import Variant
    from pocketgenre.training.models.networks import build_network

    network = build_network("cnn", MFCC_CONFIG.shape, 10, np.zeros(13), np.ones(13))
    file = convert(network, MFCC_CONFIG, features, Variant(quantization=quantization))
    interpreter = create_interpreter(file)
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
@pytest.mark.parametrize("model", PRETRAINED)
def test_file(benchmark, runtime: tuple[str, str], model: str) -> None:
    python, package = runtime
    read_model(PRETRAINED[model])  # that it is there and whole
    server = subprocess.Popen(
        [python, "-c", SERVE, PRETRAINED[model], str(BATCH)],
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
