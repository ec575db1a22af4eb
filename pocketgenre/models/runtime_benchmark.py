"""Benchmark a model on this machine: time, memory and outputs.

``python -m pocketgenre.models.runtime_benchmark MODEL...`` prints JSON, to compare two
machines or two runtimes. The inputs are computed from integers, so that they have the same bits
everywhere.
"""

import json
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.interpreter import create_interpreter, runtime_version
from pocketgenre.models.model_card import read_model
from pocketgenre.models.tflite_model import TFLiteModel

_SEGMENTS = 32
_MIN_SECONDS = 0.3
_THREADS = (1, 2)


@dataclass(frozen=True)
class RuntimeBenchmark:
    """Results of a benchmark.

    Attributes
    ----------
    model : name of the file
    runtime, machine : runtime with version; processor architecture
    milliseconds : median time of one segment by number of threads [ms]
    arena : memory of all tensors that the runtime's own kernels write to [bytes]
    answers : output probabilities of each input segment
    """

    model: str
    runtime: str
    machine: str
    milliseconds: dict[int, float]
    arena: int
    answers: list[list[float]]


def benchmark_runtime(model_path: Path) -> RuntimeBenchmark:
    """Run a model on the input segments.

    Raises
    ------
    ModelError
        if the file, its card or the runtime is missing or broken.
    """
    model, card = read_model(model_path)
    inputs = benchmark_inputs(card.feature_config, card.input)
    outputs = TFLiteModel(model, card).predict(inputs)
    return RuntimeBenchmark(
        model=model_path.name,
        runtime=runtime_version(),
        machine=platform.machine(),
        milliseconds={threads: _milliseconds(model, threads) for threads in _THREADS},
        arena=_arena(model),
        answers=outputs.tolist(),
    )


def benchmark_inputs(feature_config: FeatureConfig, kind: str) -> NDArray[np.float32]:
    """Create segments of noise with different loudness and spectral tilt, or similar features.

    Returns
    -------
    float32 [shape=(segments, frames, coefficients)],
        [shape=(segments, segment_samples)] for ``waveform``
    """
    rng = np.random.default_rng(20_261)
    if kind == "waveform":
        noise = rng.integers(-(2**15), 2**15, (_SEGMENTS, feature_config.segment_samples))
        smooth = np.arange(_SEGMENTS)[:, np.newaxis] % 3
        noise = np.where(smooth, noise + smooth * np.roll(noise, 1, axis=1), noise)
        shift = 2.0 ** -(17 + np.arange(_SEGMENTS) % 8)
        samples: NDArray[np.float32] = (noise * shift[:, np.newaxis]).astype(np.float32)
        return samples
    if kind != "mfcc":
        level = rng.integers(0, 2048, (_SEGMENTS, 1, feature_config.n_coefficients))
        levels = level + rng.integers(0, 2048, (_SEGMENTS, *feature_config.shape))
        return (levels / 2**10).astype(np.float32)
    spread = np.array([640, 320] + [160] * (feature_config.n_mfcc - 2))[: feature_config.n_mfcc]
    values = rng.integers(-1024, 1025, (_SEGMENTS, *feature_config.shape)) * spread
    drift = rng.integers(-1024, 1025, (_SEGMENTS, 1, feature_config.n_mfcc)) * spread
    features: NDArray[np.float32] = ((values + drift) / 2**13).astype(np.float32)
    return features


def _milliseconds(model: bytes, threads: int) -> float:
    interpreter = create_interpreter(model, threads)
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
    interpreter.invoke()
    times: list[float] = []
    while sum(times) < _MIN_SECONDS:
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1e3, 4)


def _arena(model: bytes) -> int:
    # Without delegates: XNNPACK's memory can't be inspected.
    interpreter = create_interpreter(model, delegates=False)
    written = {int(details["index"]) for details in interpreter.get_input_details()}
    for op in interpreter._get_ops_details():
        written |= {int(index) for index in op["outputs"]}
    spans: list[tuple[int, int]] = []
    for index in written:
        try:
            tensor = interpreter.tensor(index)()
        except ValueError:  # not allocated
            continue
        start = tensor.__array_interface__["data"][0]
        spans.append((start, start + tensor.nbytes))
    total, reached = 0, 0  # tensors reuse the memory of earlier ones
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def main() -> None:
    """Print a list of benchmarks as JSON."""
    results = [asdict(benchmark_runtime(Path(path))) for path in sys.argv[1:]]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
