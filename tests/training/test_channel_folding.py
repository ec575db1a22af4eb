"""Folded convolutions equal plain ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from pocketgenre.training.models.musicnn import channel_folding as folding

pytestmark = pytest.mark.slow


def over_bands(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    inputs = keras.Input(image.shape[1:])
    tensor, stacking = folding.stack_bands(inputs, kernel.shape[1])
    folded = folding.fold_band_kernel(kernel)
    layer = layers.Conv2D(
        folded.shape[-1], folded.shape[:2], dilation_rate=(1, folding.CHANNELS), use_bias=False
    )
    model = keras.Model(inputs, layer(tensor))
    stacking.set_weights([folding.stacking_kernel()])
    layer.set_weights([folded])
    return model(image).numpy()


def over_frames(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    alignment, filters = folding.BlockAlignment.of(len(kernel)), kernel.shape[-1]
    inputs = keras.Input(image.shape[1:])
    padding = ((alignment.before, alignment.after), (0, 0))
    layer = layers.Conv2D(folding.CHANNELS * filters, (alignment.size, 1), use_bias=False)
    model = keras.Model(inputs, layer(layers.ZeroPadding2D(padding)(folding.stack_frames(inputs))))
    layer.set_weights([folding.fold_frame_kernel(kernel)])
    by_block = model(image).numpy()  # for each block and band, all filters frame by frame
    songs, blocks, bands = by_block.shape[:3]
    by_frame = by_block.reshape(songs, blocks, bands, folding.CHANNELS, filters).swapaxes(2, 3)
    by_frame = by_frame.reshape(songs, -1, bands, filters)
    return by_frame[:, : image.shape[1]]


@settings(max_examples=12)
@given(st.integers(1, 9), st.integers(2, 40), st.integers(1, 5), st.integers(0, 1000))
def test_folded_band_kernel_equals_plain_one(
    frames: int, bands: int, filters: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(2, 20, 44, 1)).astype(np.float32)
    kernel = rng.normal(size=(frames, bands, 1, filters)).astype(np.float32)
    plain = tf.nn.conv2d(image, kernel, 1, "VALID").numpy()
    np.testing.assert_allclose(over_bands(image, kernel), plain, atol=1e-4)


@settings(max_examples=12)
@given(st.integers(2, 140), st.integers(5, 60), st.integers(1, 5), st.integers(0, 1000))
def test_folded_frame_kernel_equals_plain_one(
    height: int, frames: int, filters: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(2, frames, 6, 1)).astype(np.float32)
    kernel = rng.normal(size=(height, 1, 1, filters)).astype(np.float32)
    plain = tf.nn.conv2d(image, kernel, 1, "SAME").numpy()
    np.testing.assert_allclose(over_frames(image, kernel), plain, atol=1e-4)


@pytest.mark.parametrize("width", [38, 67])
def test_folded_band_kernel_has_few_more_weights(width: int) -> None:
    kernel = np.ones((7, width, 1, 3), np.float32)
    assert folding.fold_band_kernel(kernel).size <= 1.08 * kernel.size
