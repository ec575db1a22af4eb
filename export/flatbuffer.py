"""Edit TFLite files: join two files, name input and output, attach metadata.

All functions work on the flatbuffer's objects (``schema.fbs`` of LiteRT), in which operators refer
to tensors by index, and tensors to buffers.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

SIGNATURE = "serving_default"
METADATA_NAME = "TFLITE_METADATA"

_LSTM_HIDDEN_STATE = 18  # index among the operation's inputs
_ABSENT = -1  # index of an optional input that is absent


def join(first: bytes, second: bytes) -> bytes:
    """Join two files: the output of the first becomes the input of the second."""
    model, appended = _read(first), _read(second)
    graph, more = model.subgraphs[0], appended.subgraphs[0]
    tensors, codes, buffers = len(graph.tensors), len(model.operatorCodes), len(model.buffers)
    joined_input = int(more.inputs[0])

    def shifted(indices: Any) -> list[int] | None:
        if indices is None:
            return None
        special = {_ABSENT: _ABSENT, joined_input: int(graph.outputs[0])}
        return [special.get(int(i), int(i) + tensors) for i in indices]

    for tensor in more.tensors:
        tensor.buffer += buffers
    for operator in more.operators:
        operator.opcodeIndex += codes
        operator.inputs, operator.outputs = shifted(operator.inputs), shifted(operator.outputs)
        operator.intermediates = shifted(operator.intermediates)
    graph.outputs = shifted(more.outputs)
    graph.tensors += more.tensors
    graph.operators += more.operators
    model.operatorCodes += appended.operatorCodes
    model.buffers += appended.buffers
    return _pack(model)


def align_lstm_states(tflite: bytes) -> bytes:
    """Give the hidden state of each fused LSTM the int8 scale of its output.

    The runtime copies the output to the state without rescaling. When the operation after the
    LSTM makes the converter change the scale of the output, the converter does not update that of
    the state: 94 % of the labels agreed with Keras instead of 99 %.
    """
    model = _read(tflite)
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
            state, output = operator.inputs[_LSTM_HIDDEN_STATE], operator.outputs[0]
            tensors[state].quantization = tensors[output].quantization
    return _pack(model)


def set_names(tflite: bytes, input_name: str, output_name: str, description: str) -> bytes:
    """Name input and output, and set the description and the signature.

    Versions and pass names that the converter adds are removed, so that the same network gives
    the same bytes.
    """
    model = _read(tflite)
    graph = model.subgraphs[0]
    named = {input_name: int(graph.inputs[0]), output_name: int(graph.outputs[0])}
    for tensor in graph.tensors:
        tensor.name = b""  # the converter's names would be a tenth of a small file
    for name, tensor in named.items():
        graph.tensors[tensor].name = name.encode()
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = [_tensor_map(input_name, named[input_name])]
    signature.outputs = [_tensor_map(output_name, named[output_name])]
    model.signatureDefs = [signature]
    model.description = description.encode()
    return _pack(model)


def attach_metadata(tflite: bytes, metadata: bytes) -> bytes:
    """Add TFLite metadata in the buffer where readers expect it."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(tflite))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = METADATA_NAME.encode(), len(model.buffers)
    buffer.data = np.frombuffer(metadata, np.uint8)
    model.metadata = [entry]
    model.buffers.append(buffer)
    return _pack(model)


def _read(tflite: bytes) -> Any:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(tflite))
    model.metadata, model.metadataBuffer, model.signatureDefs = [], [], []
    return model


def _pack(model: Any) -> bytes:
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _tensor_map(name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), tensor
    return entry
