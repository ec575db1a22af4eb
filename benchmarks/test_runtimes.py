"""Compare quantizations of one network, and one file in LiteRT and in tflite-runtime."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.models.interpreter import RUNTIME_VARIABLE, create_interpreter
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.models.tflite_model import FloatArray
from tests.conftest import REPOSITORY

OLD_PYTHON = REPOSITORY / ".venv" / "tflite-runtime" / "bin" / "python"
BATCH = 100
# Runs a batch for each line of standard input, then prints an empty line.
RUN_BATCHES = """
import sys
import numpy as np
from pocketgenre.models.interpreter import create_interpreter
interpreter = create_interpreter(open(sys.argv[1], "rb").read())
model_input, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
features = np.random.default_rng(0).normal(size=model_input["shape"]).astype(np.float32)
for _ in sys.stdin:
    for _ in range(int(sys.argv[2])):
        interpreter.set_tensor(model_input["index"], features)
        interpreter.invoke()
        interpreter.get_tensor(output["index"])
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
        pytest.skip("the environment is missing; run make .venv/tflite-runtime/ready")
    return python, request.param


@pytest.mark.benchmark(group=f"{BATCH} segments through a file, in a separate process")
@pytest.mark.parametrize("model", PRETRAINED)
def test_file(benchmark, runtime: tuple[str, str], model: str) -> None:
    python, package = runtime
    read_model(PRETRAINED[model])  # raises if the file is missing or damaged
    process = subprocess.Popen(
        [python, "-c", RUN_BATCHES, PRETRAINED[model], str(BATCH)],
        cwd=REPOSITORY, env={RUNTIME_VARIABLE: package}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def run_batch() -> None:
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "\n"

    with process:
        run_batch()
        benchmark.pedantic(run_batch, rounds=20)
        process.stdin.close()
