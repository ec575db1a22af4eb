"""Encode features for a client, and decode features that a client sends."""

import io
import json
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.server.schemas import ModelName

FloatArray = NDArray[np.float32]

_DECIMALS = 6
_NPY_MAGIC = b"\x93NUMPY"


class FeaturesError(AudioError):
    """Features from a client cannot be read."""


def encode_features(
    features: FloatArray,
    feature_config: FeatureConfig,
    model: ModelName,
    first: int,
    format: Literal["json", "npy"],
) -> bytes:
    """Encode features as JSON (:class:`pocketgenre.server.schemas.Features`) or ``.npy``.

    Parameters
    ----------
    features : float32 [shape=(segments, frames, coefficients)]
    feature_config : parameters that the features were computed with
    model : name and hash of the model
    first : number of the first segment
    format : ``json`` or ``npy``
    """
    if format == "npy":
        file = io.BytesIO()
        np.save(file, features, allow_pickle=False)
        return file.getvalue()
    # Not with pydantic: it would take twice as long for half a million numbers.
    values = {
        "model": model.model_dump(),
        "kind": feature_config.kind,
        "front_end": feature_config.to_dict(),
        "first": first,
        "shape": features.shape,
        "features": np.round(features.astype(float), _DECIMALS).tolist(),
    }
    return json.dumps(values).encode()


def decode_features(
    content: bytes, feature_config: FeatureConfig, max_segments: int
) -> NDArray[np.float64]:
    """Decode features from a ``.npy`` file or from JSON.

    Parameters
    ----------
    content : content of the file; JSON is nested lists of numbers, or an object whose
        ``features`` are such lists
    feature_config : parameters of the features
    max_segments : largest number of segments

    Returns
    -------
    float64 [shape=(segments, frames, coefficients)]
        the features as sent; the axes may be transposed and the shape may be wrong.

    Raises
    ------
    FeaturesError
        if the content is not a finite numeric array of two or three axes, or is too large.
    """
    limit = 4 * max_segments * feature_config.n_frames * max(feature_config.n_coefficients, 64)
    decode = _from_npy if content.startswith(_NPY_MAGIC) else _from_json
    features = decode(content, limit)
    if features.ndim == 2:
        features = features[np.newaxis]
    if features.ndim != 3 or not features.size:
        raise FeaturesError(
            "the features must have the shape (frames, coefficients) or"
            " (segments, frames, coefficients)"
        )
    if not np.isfinite(features).all():
        raise FeaturesError("some of the features are not finite numbers")
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
    try:
        values = json.loads(content)
        if isinstance(values, dict):
            values = values.get("features")
        features = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FeaturesError("the features are neither a .npy file nor a JSON array") from error
    if features.size > limit:
        raise FeaturesError("there are more features than a request may contain")
    return features
