"""Read and replace the last layer of a TFLite file, and expose its inputs.

The inputs of the last layer are the features with which a new layer is learned. Networks of
:mod:`pocketgenre.export.convert` end in ``DEQUANTIZE``, ``FULLY_CONNECTED`` in float32, and
``SOFTMAX``, so that the features are int8 numbers of one scale, which are stored without loss.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.models.output_layer import OutputLayer

FloatArray = NDArray[np.float32]

LABELS_FILE = "labels.txt"
"""File with the labels in the archive that follows a TFLite file, where MediaPipe reads it."""

_IDENTIFIER = b"TFL3"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # time in the archive, so that files are reproducible


def read_output_layer(model: bytes) -> OutputLayer:
    """Read the last layer of a network.

    Raises
    ------
    ModelError
        if the network does not end in a float32 layer on int8 features.
    """
    parts = _Parts.of(model)
    quantization = parts.graph.tensors[parts.features].quantization
    scale, zero_point = float(quantization.scale[0]), int(quantization.zeroPoint[0])
    kernel = np.ascontiguousarray(parts.data(parts.kernel).T)
    return OutputLayer(kernel, parts.data(parts.bias), scale, zero_point, parts.base())


def with_feature_output(model: bytes) -> bytes:
    """Return the network with its int8 features [shape=(1, features)] as a second output.

    The probabilities stay equal to the bit.

    Raises
    ------
    ModelError
        as :func:`read_output_layer`.
    """
    parts = _Parts.of(model)
    parts.graph.outputs = [*parts.graph.outputs, parts.features]
    return _pack(parts.model)


def replace_output_layer(
    model: bytes, kernel: FloatArray, bias: FloatArray, labels: Sequence[str]
) -> bytes:
    """Return the network with another last layer, and the labels in its archive.

    Parameters
    ----------
    model : content of a ``.tflite`` file
    kernel : float32 [shape=(features, labels)]
    bias : float32 [shape=(labels,)]
    labels : labels in the order of the outputs

    Raises
    ------
    ModelError
        as :func:`read_output_layer`.
    """
    parts = _Parts.of(model)
    parts.replace(parts.kernel, kernel.T)
    parts.replace(parts.bias, bias)
    for tensor in (parts.logits, parts.probabilities):
        parts.graph.tensors[tensor].shape = [1, len(labels)]
        parts.graph.tensors[tensor].shapeSignature = None
    packed = _pack(parts.model)
    return packed + archive_labels(labels, len(packed))


def archive_labels(labels: Sequence[str], offset: int) -> bytes:
    """Return an uncompressed zip archive of the labels, to be appended to ``offset`` bytes."""
    content = io.BytesIO()
    content.write(b"\0" * offset)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as file:
        file.writestr(zipfile.ZipInfo(LABELS_FILE, _FIXED_TIME), "\n".join(labels) + "\n")
    return content.getvalue()[offset:]


@dataclass(frozen=True, eq=False)
class _Parts:
    """Objects of a network, and the indices of the tensors around its last layer."""

    model: Any
    features: int
    kernel: int
    bias: int
    logits: int
    probabilities: int

    @classmethod
    def of(cls, model: bytes) -> "_Parts":
        try:
            parts = cls._find(schema.ModelT.InitFromPackedBuf(model, 0))
            parts.check()
        except Exception as error:  # of any type, since the file may be damaged on purpose
            raise ModelError(
                "The model has no last layer that can be replaced: it must end in a float32 layer"
                " on int8 features, as `best` does."
            ) from error
        return parts

    @classmethod
    def _find(cls, model: Any) -> "_Parts":
        codes = [_code(model, operator) for operator in model.subgraphs[0].operators[-3:]]
        operations = schema.BuiltinOperator
        if codes != [operations.DEQUANTIZE, operations.FULLY_CONNECTED, operations.SOFTMAX]:
            raise ValueError(f"the last operations are {codes}")
        dequantize, dense, softmax = model.subgraphs[0].operators[-3:]
        if dense.inputs[0] != dequantize.outputs[0] or softmax.inputs[0] != dense.outputs[0]:
            raise ValueError("the last operations are not a chain")
        return cls(
            model,
            features=int(dequantize.inputs[0]),
            kernel=int(dense.inputs[1]),
            bias=int(dense.inputs[2]),
            logits=int(dense.outputs[0]),
            probabilities=int(softmax.outputs[0]),
        )

    @property
    def graph(self) -> Any:
        return self.model.subgraphs[0]

    def check(self) -> None:
        """Raise ValueError if the shapes or types of the tensors don't match."""
        features, kernel, bias = (
            self.graph.tensors[i] for i in (self.features, self.kernel, self.bias)
        )
        labels, inputs = (int(n) for n in kernel.shape)
        types = (features.type, kernel.type, bias.type)
        expected = (schema.TensorType.INT8, schema.TensorType.FLOAT32, schema.TensorType.FLOAT32)
        if types != expected or tuple(features.shape) != (1, inputs):
            raise ValueError("the types differ")
        if self.data(self.kernel).shape != (labels, inputs) or self.data(self.bias).size != labels:
            raise ValueError("the shapes differ")
        if list(self.graph.outputs) != [self.probabilities] or len(self.model.subgraphs) != 1:
            raise ValueError("there are further outputs")
        if not float(features.quantization.scale[0]) > 0:
            raise ValueError("the scale is not positive")

    def data(self, tensor: int) -> FloatArray:
        """Return a copy of a constant tensor, float32 in its shape."""
        described = self.graph.tensors[tensor]
        content = np.asarray(self.model.buffers[described.buffer].data, np.uint8)
        values: FloatArray = content.view("<f4").reshape([int(n) for n in described.shape]).copy()
        if not np.isfinite(values).all():
            raise ValueError("some weights are not finite")
        return values

    def replace(self, tensor: int, values: FloatArray) -> None:
        """Replace a constant tensor."""
        described = self.graph.tensors[tensor]
        if sum(other.buffer == described.buffer for other in self.graph.tensors) > 1:
            described.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT())
        data = np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(-1)
        self.model.buffers[described.buffer].data = data
        described.shape, described.shapeSignature = list(values.shape), None

    def base(self) -> bytes:
        """Hash the network without its last layer. This changes the objects."""
        self.graph.operators = self.graph.operators[:-3]
        self.graph.outputs = [self.features]
        for tensor in (self.kernel, self.bias, self.logits, self.probabilities):
            described = self.graph.tensors[tensor]
            self.model.buffers[described.buffer].data = None
            described.shape = described.shapeSignature = described.name = None
            described.buffer = 0
        self.model.buffers = [
            buffer if i in {t.buffer for t in self.graph.tensors} else schema.BufferT()
            for i, buffer in enumerate(self.model.buffers)
        ]
        while self.model.buffers and self.model.buffers[-1].data is None:
            self.model.buffers.pop()
        self.model.metadata = self.model.metadataBuffer = self.model.signatureDefs = None
        self.model.description = None
        return hashlib.sha256(_pack(self.model)).digest()


def _code(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
