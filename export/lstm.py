"""Rewrite Keras LSTM layers so that the TFLite converter fuses them.

A Keras 3 LSTM is converted to a loop, which has no int8 form. An unrolled LSTM has one, but its
file has 2 MB and only 87 % of its labels agree with Keras. The converter still recognizes the
functions of Keras 2 by their attribute, and replaces each by one
``UNIDIRECTIONAL_SEQUENCE_LSTM``, whose int8 form keeps the cell state in 16 bits: 70 KB and 99 %.
``ConvertKerasLSTMLayer`` in TensorFlow's ``lstm_utils.cc`` reads arguments and results by position,
so their order here must not change.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from pocketgenre.training.errors import DataError

Stage = Callable[[tf.Tensor], tf.Tensor]

RESET_FRAMES = 3
_GATE_CLOSED = 12.0
"""Magnitude that closes a gate: sigmoid(-12) is 6e-6. In int8 a gate's range ends at -8, 3e-4."""


def fused_lstm(layer: layers.LSTM, max_input: float) -> Stage:
    """Return a function that computes the layer for one segment and that TFLite can fuse.

    The fused operation keeps its state between invocations. Unless the app resets the state, which
    neither MediaPipe nor a browser does, the genre of a segment would depend on the previous one.
    Each sequence therefore begins with a few frames that reset the state: extra inputs, zero in the
    music itself, close all gates of all units during these frames.

    Parameters
    ----------
    layer : LSTM layer
    max_input : largest value among the layer's representative inputs

    Raises
    ------
    DataError
        if the options of the layer cannot be fused.
    """
    _require_default_options(layer)
    kernel, recurrent_kernel, bias = layer.get_weights()
    level = 0.99 * max_input
    reset_rows = _reset_rows(kernel, level)
    n_features, n_reset = kernel.shape[0], len(reset_rows)
    weights = [np.concatenate([kernel, reset_rows]), recurrent_kernel, bias]
    reset_frames = np.zeros((1, RESET_FRAMES, n_features + n_reset), np.float32)
    reset_frames[..., n_features:] = level
    zeros = tf.zeros((1, layer.units))
    attributes = {
        "api_implements": f"lstm_{layer.name}",
        "api_preferred_device": "CPU",
        "time_major": False,
        "go_backwards": False,
    }
    function = tf.function(_standard_lstm, autograph=False, experimental_attributes=attributes)

    def stage(sequence: tf.Tensor) -> tf.Tensor:
        widened = tf.pad(sequence, [[0, 0], [0, 0], [0, n_reset]])
        frames = tf.concat([reset_frames, widened], axis=1)
        last, outputs, *_ = function(frames, zeros, zeros, *map(tf.constant, weights))
        return outputs[:, RESET_FRAMES:] if layer.return_sequences else last

    return stage


def _reset_rows(kernel: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """Return kernel rows of the inputs that close the gates, float32 [shape=(inputs, 4 * units)].

    No weight is larger than the layer's own, since all share one int8 scale. Several inputs
    together close the gates.
    """
    input_gate, forget_gate, _, output_gate = np.split(kernel, 4, axis=1)
    limits = [np.abs(gate).max() for gate in (input_gate, forget_gate, output_gate)]
    count = int(np.ceil(_GATE_CLOSED / (level * min(limits))))
    units = kernel.shape[1] // 4
    row = np.repeat([-limits[0], -limits[1], 0.0, -limits[2]], units)
    return np.tile(row, (count, 1)).astype(np.float32)


def _standard_lstm(
    sequence: tf.Tensor,
    hidden: tf.Tensor,
    cell: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Compute Keras 2's ``standard_lstm``; the converter reads its signature and drops its body."""
    outputs = []
    for frame in tf.unstack(sequence, axis=1):
        gates = tf.matmul(frame, kernel) + tf.matmul(hidden, recurrent_kernel) + bias
        input_gate, forget_gate, candidate, output_gate = tf.split(gates, 4, axis=1)
        cell = tf.sigmoid(forget_gate) * cell + tf.sigmoid(input_gate) * tf.tanh(candidate)
        hidden = tf.sigmoid(output_gate) * tf.tanh(cell)
        outputs.append(hidden)
    return hidden, tf.stack(outputs, axis=1), hidden, cell, tf.constant(1.0)


def _require_default_options(layer: layers.LSTM) -> None:
    config = layer.get_config()
    required = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "go_backwards": False,
        "stateful": False,
        "return_state": False,
    }
    others = [f"{name}={config[name]}" for name, value in required.items() if config[name] != value]
    if others:
        raise DataError(f"The LSTM layer {layer.name} cannot be exported: {', '.join(others)}.")
