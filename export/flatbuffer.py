"""What the converter can't do: join two files, name the two ends, attach metadata.

All of it works on the flatbuffer's objects (``schema.fbs`` of LiteRT), in which operators name
their tensors by position, and tensors their buffers.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

SIGNATURE = "serving_default"
METADATA_NAME = "TFLITE_METADATA"

_LSTM_HIDDEN_STATE = 18  # position among the operation's inputs
_NONE = -1  # in place of an optional input that is not there


def join(front: bytes, back: bytes) -> bytes:
    """One file that feeds the only output of ``front`` to the only input of ``back``."""
    model, behind = _read(front), _read(back)
    graph, more = model.subgraphs[0], behind.subgraphs[0]
    tensors, codes, buffers = len(graph.tensors), len(model.operatorCodes), len(model.buffers)
    seam = int(more.inputs[0])

    def moved(indices: Any) -> list[int] | None:
        if indices is None:
            return None
        places = {_NONE: _NONE, seam: int(graph.outputs[0])}
        return [places.get(int(i), int(i) + tensors) for i in indices]

    for tensor in more.tensors:
        tensor.buffer += buffers
    for operator in more.operators:
        operator.opcodeIndex += codes
        operator.inputs, operator.outputs = moved(operator.inputs), moved(operator.outputs)
        operator.intermediates = moved(operator.intermediates)
    graph.outputs = moved(more.outputs)
    graph.tensors += more.tensors
    graph.operators += more.operators
    model.operatorCodes += behind.operatorCodes
    model.buffers += behind.buffers
    return _pack(model)


def align_lstm_states(tflite: bytes) -> bytes:
    """Give the state of each fused LSTM the int8 scale of its output.

    The runtime copies one into the other as it is. Where the operation behind the LSTM makes
    the converter change the output's scale, it forgets the state's: 94 % of labels instead of
    99 % were Keras'.
    """
    model = _read(tflite)
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM:
            state, output = operator.inputs[_LSTM_HIDDEN_STATE], operator.outputs[0]
            tensors[state].quantization = tensors[output].quantization
    return _pack(model)


def name_ends(tflite: bytes, input_name: str, output_name: str, description: str) -> bytes:
    """Name the input, the output and the file, for people and for signature runners.

    What the converter writes of itself (versions, names of its passes) is left out: the same
    network gives the same bytes.
    """
    model = _read(tflite)
    graph = model.subgraphs[0]
    ends = {input_name: int(graph.inputs[0]), output_name: int(graph.outputs[0])}
    for tensor in graph.tensors:
        tensor.name = b""  # the converter's own names would be a tenth of a small file
    for name, tensor in ends.items():
        graph.tensors[tensor].name = name.encode()
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = [_tensor_map(input_name, ends[input_name])]
    signature.outputs = [_tensor_map(output_name, ends[output_name])]
    model.signatureDefs = [signature]
    model.description = description.encode()
    return _pack(model)


def attach_metadata(tflite: bytes, metadata: bytes) -> bytes:
    """Put metadata where TFLite's readers look for it."""
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
