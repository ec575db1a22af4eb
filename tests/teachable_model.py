"""Write a small model whose last layer can be learned: its features are mean log-mel bands."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.features.config import LOG_MEL_CONFIG
from pocketgenre.models.model_card import ModelCard, card_path, model_hash

LABELS = ("jazz", "metal", NOT_MUSIC)
FRAMES, BANDS = LOG_MEL_CONFIG.shape

_SCALE, _ZERO_POINT = 0.03, -100
_FLOAT32, _INT8, _INT32 = (
    schema.TensorType.FLOAT32,
    schema.TensorType.INT8,
    schema.TensorType.INT32,
)


def write_teachable_model(
    folder: Path, name: str = "model", seed: int = 0, labels: tuple[str, ...] = LABELS
) -> Path:
    """Write a model with random weights of its last layer, and its card."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(scale=0.05, size=(len(labels), BANDS)).astype(np.float32)
    content = _build(kernel, np.zeros(len(labels), np.float32))
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    card = ModelCard("test", labels, LOG_MEL_CONFIG, model_hash(content), input="log-mel")
    card_path(path).write_text(card.to_json(), encoding="utf-8")
    return path


def rename_labels(model: Path, labels: tuple[str, ...]) -> None:
    """Give a model other labels in its card."""
    card = ModelCard.from_json(card_path(model).read_text(encoding="utf-8"))
    card_path(model).write_text(replace(card, labels=labels).to_json(), encoding="utf-8")


def labels_in(model: Path) -> list[str]:
    """Return the labels in a model's archive, which MediaPipe reads."""
    with zipfile.ZipFile(model) as archive:
        return archive.read("labels.txt").decode().split("\n")[:-1]


def _build(kernel: np.ndarray, bias: np.ndarray) -> bytes:
    builtin = schema.BuiltinOperator
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.operators, model.operatorCodes = [], [], []

    def tensor(shape: list[int], kind: int, data: np.ndarray | None = None) -> int:
        added = schema.TensorT()
        added.shape, added.type, added.buffer = shape, kind, 0
        if data is not None:
            added.buffer = len(model.buffers)
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data).view(np.uint8).reshape(-1)
            model.buffers.append(buffer)
        graph.tensors.append(added)
        return len(graph.tensors) - 1

    def operator(code: int, inputs: list[int], output: int, options: Any = None) -> int:
        opcode, added = schema.OperatorCodeT(), schema.OperatorT()
        opcode.builtinCode = opcode.deprecatedBuiltinCode = code
        opcode.version = 1
        added.opcodeIndex, added.inputs, added.outputs = len(model.operatorCodes), inputs, [output]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            added.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            added.builtinOptions = options
        model.operatorCodes.append(opcode)
        graph.operators.append(added)
        return output

    inputs = tensor([1, FRAMES, BANDS], _FLOAT32)
    axis = tensor([1], _INT32, np.array([1], np.int32))
    mean = tensor([1, BANDS], _FLOAT32)
    features = tensor([1, BANDS], _INT8)
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [_SCALE], [_ZERO_POINT]
    graph.tensors[features].quantization = quantization
    floats = tensor([1, BANDS], _FLOAT32)
    weights = tensor(list(kernel.shape), _FLOAT32, kernel)
    biases = tensor([len(bias)], _FLOAT32, bias)
    logits, probabilities = (tensor([1, len(bias)], _FLOAT32) for _ in range(2))
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    operator(builtin.MEAN, [inputs, axis], mean, schema.ReducerOptionsT())
    operator(builtin.QUANTIZE, [mean], features, schema.QuantizeOptionsT())
    operator(builtin.DEQUANTIZE, [features], floats, schema.DequantizeOptionsT())
    operator(
        builtin.FULLY_CONNECTED, [floats, weights, biases], logits, schema.FullyConnectedOptionsT()
    )
    operator(builtin.SOFTMAX, [logits], probabilities, softmax)
    graph.inputs, graph.outputs = [inputs], [probabilities]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
