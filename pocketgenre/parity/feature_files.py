"""Read features that a device has computed, from a file that may contain anything."""

import io
import json
import math
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig

_MAX_SEGMENTS = 40
_NPY_MAGIC = b"\x93NUMPY"
# Besides the numbers, JSON may contain the other fields of the endpoint's /v1/features.
_MAX_OTHER_VALUES = 1_000


class FeaturesError(AudioError):
    """Features of a device cannot be read."""


def decode_features(content: bytes, feature_config: FeatureConfig) -> NDArray[np.float64]:
    """Decode features from a ``.npy`` file or from JSON.

    Parameters
    ----------
    content : content of the file; JSON is nested lists of numbers, or an object whose
        ``features`` are such lists
    feature_config : parameters of the features

    Returns
    -------
    float64 [shape=(segments, frames, coefficients)]
        the features as sent; the axes may be transposed and the shape may be wrong. Each is in the
        range of float32.

    Raises
    ------
    FeaturesError
        if the content is not a finite numeric array of two or three axes, or is too large.
    """
    # Four times the features of the largest number of segments, for devices with other frames.
    limit = 4 * _MAX_SEGMENTS * feature_config.n_frames * max(feature_config.n_coefficients, 64)
    decode = _from_npy if content.startswith(_NPY_MAGIC) else _from_json
    features = decode(content, limit)
    if features.ndim == 2:
        features = features[np.newaxis]
    if features.ndim != 3 or not features.size:
        raise FeaturesError(
            "the features must have the shape (frames, coefficients) or"
            " (segments, frames, coefficients)"
        )
    if not (np.abs(features) <= np.finfo(np.float32).max).all():
        raise FeaturesError("some of the features are not finite numbers in the range of float32")
    return features


def _from_npy(content: bytes, limit: int) -> NDArray[np.float64]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_column, dtype = read_header(file)
    except Exception as error:  # NumPy may raise anything for a damaged header
        raise FeaturesError("the features are not a valid .npy file") from error
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise FeaturesError(f"the features must be real numbers, not {dtype}")
    # NumPy accepts any int as a length: a negative one, True, or one larger than any memory.
    is_valid = len(shape) <= 3 and all(type(n) is int and 0 < n <= limit for n in shape)
    count = math.prod(shape) if is_valid else 0
    if not 0 < count <= limit or count * dtype.itemsize != len(content) - file.tell():
        raise FeaturesError("the .npy file is too large, or its size does not match its header")
    features = np.frombuffer(content, dtype, offset=file.tell())
    with np.errstate(all="ignore"):  # the caller rejects non-finite values
        return features.reshape(shape, order="F" if by_column else "C").astype(np.float64)


def _from_json(content: bytes, limit: int) -> NDArray[np.float64]:
    invalid = FeaturesError("the features are neither a .npy file nor a JSON array of numbers")
    if not content[:100].lstrip().startswith((b"[", b"{")):
        raise invalid
    # Before parsing, which takes up to 60 bytes of memory for each byte of brackets.
    lists, others = content.count(b"["), content.count(b"{") + content.count(b'"')
    if lists + content.count(b",") > limit or others > _MAX_OTHER_VALUES:
        raise FeaturesError("there are more features than can be compared at once")
    try:
        values = json.loads(content)
        if isinstance(values, dict):
            values = values.get("features")
        _require_numbers(values)
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise invalid from error


def _require_numbers(values: Any) -> None:
    """Check that nested lists contain only numbers: NumPy would convert strings and booleans.

    Raises
    ------
    TypeError
        if they contain other values, or are not lists at one depth.
    """
    while set(map(type, values)) == {list}:
        values = list(chain.from_iterable(values))
    if not set(map(type, values)) <= {int, float}:
        raise TypeError("not a number")
