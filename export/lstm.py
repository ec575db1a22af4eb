"""Keras LSTM layers in the shape that the converter fuses.

A Keras 3 LSTM becomes a loop, which has no int8 form; unrolled it has one, of 2 MB, which gives
only 87 % of the labels that Keras gives. But the converter still knows the functions of Keras 2
by their attribute, and replaces each by one ``UNIDIRECTIONAL_SEQUENCE_LSTM``, whose int8 form
keeps the cell state in 16 bits: 70 KB and 99 % (``ConvertKerasLSTMLayer`` in TensorFlow's
``lstm_utils.cc`` reads the arguments and results by position, as they stand here).
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from pocketgenre.training.data.songs import DataError

Stage = Callable[[tf.Tensor], tf.Tensor]

FORGETTING_FRAMES = 3
_CLOSED = 12.0
"""What shuts a gate: sigmoid(-12) is 6e-6. In int8 a gate's range ends at -8, 3e-4."""


def fused(layer: layers.LSTM, loudest: float) -> Stage:
    """A function that computes what the layer does for one segment.

    The fused operation keeps its state from one call to the next: a segment's genre would
    depend on the one before, unless the app resets the state, and neither MediaPipe nor a
    browser does. So it first hears a few frames that make it forget: further inputs, silent
    while the music plays, shut all gates of all units for these frames.

    Raises
    ------
    DataError
        the layer is of a kind that can't be fused.
    """
    _require_plain(layer)
    kernel, recurrent_kernel, bias = layer.get_weights()
    level = 0.99 * loudest
    forgetting = _forgetting_rows(kernel, level)
    music, silence = kernel.shape[0], len(forgetting)
    weights = [np.concatenate([kernel, forgetting]), recurrent_kernel, bias]
    prelude = np.zeros((1, FORGETTING_FRAMES, music + silence), np.float32)
    prelude[..., music:] = level
    start = tf.zeros((1, layer.units))
    attributes = {
        "api_implements": f"lstm_{layer.name}",
        "api_preferred_device": "CPU",
        "time_major": False,
        "go_backwards": False,
    }
    function = tf.function(_lstm, autograph=False, experimental_attributes=attributes)

    def stage(sequence: tf.Tensor) -> tf.Tensor:
        widened = tf.pad(sequence, [[0, 0], [0, 0], [0, silence]])
        heard = tf.concat([prelude, widened], axis=1)
        last, outputs, *_ = function(heard, start, start, *map(tf.constant, weights))
        return outputs[:, FORGETTING_FRAMES:] if layer.return_sequences else last

    return stage


def _forgetting_rows(kernel: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """Weights of the inputs that shut the gates, float32 [shape=(inputs, 4 * units)].

    None is larger than the layer's own, whose int8 steps they share; many together suffice.
    """
    enter, forget, _, leave = np.split(kernel, 4, axis=1)
    strengths = [np.abs(gate).max() for gate in (enter, forget, leave)]
    count = int(np.ceil(_CLOSED / (level * min(strengths))))
    units = kernel.shape[1] // 4
    row = np.repeat([-strengths[0], -strengths[1], 0.0, -strengths[2]], units)
    return np.tile(row, (count, 1)).astype(np.float32)


def _lstm(
    sequence: tf.Tensor,
    hidden: tf.Tensor,
    cell: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Keras 2's ``standard_lstm``; the converter reads its signature and drops its body."""
    outputs = []
    for step in tf.unstack(sequence, axis=1):
        gates = tf.matmul(step, kernel) + tf.matmul(hidden, recurrent_kernel) + bias
        enter, forget, candidate, leave = tf.split(gates, 4, axis=1)
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
        hidden = tf.sigmoid(leave) * tf.tanh(cell)
        outputs.append(hidden)
    return hidden, tf.stack(outputs, axis=1), hidden, cell, tf.constant(1.0)


def _require_plain(layer: layers.LSTM) -> None:
    config = layer.get_config()
    plain = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "go_backwards": False,
        "stateful": False,
        "return_state": False,
    }
    odd = [f"{name}={config[name]}" for name, value in plain.items() if config[name] != value]
    if odd:
        raise DataError(f"The layer {layer.name} can't be exported as an LSTM: {', '.join(odd)}.")
