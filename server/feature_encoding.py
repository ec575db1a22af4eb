"""Features on their way to a client and from one."""

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

_DIGITS = 6
_NPY_MAGIC = b"\x93NUMPY"


class FeaturesError(AudioError):
    """The features that a device computed can't be read."""


def encode(
    table: FloatArray,
    feature_config: FeatureConfig,
    model: ModelName,
    first: int,
    form: Literal["json", "npy"],
) -> bytes:
    """Features as JSON (:class:`pocketgenre.server.schemas.Features`) or as a ``.npy`` file.

    Parameters
    ----------
    table : float32 [shape=(segments, frames, coefficients)]
    """
    if form == "npy":
        file = io.BytesIO()
        np.save(file, table, allow_pickle=False)
        return file.getvalue()
    # Not through pydantic: it would take as long again for half a million numbers.
    values = {
        "model": model.model_dump(),
        "kind": feature_config.kind,
        "front_end": feature_config.to_dict(),
        "first": first,
        "shape": table.shape,
        "features": np.round(table.astype(float), _DIGITS).tolist(),
    }
    return json.dumps(values).encode()


def decode(content: bytes, feature_config: FeatureConfig, most: int) -> NDArray[np.float64]:
    """A device's features from a ``.npy`` file or from JSON.

    Parameters
    ----------
    content : of the file; JSON is nested lists of numbers, or an object with ``features``
    most : segments that may be in it

    Returns
    -------
    float64 [shape=(segments, frames, coefficients)]
        as the device has them: perhaps transposed, perhaps too few

    Raises
    ------
    FeaturesError
        it is nothing of the kind, or too large.
    """
    limit = 4 * most * feature_config.n_frames * max(feature_config.n_coefficients, 64)
    table = _from_npy(content, limit) if content[:6] == _NPY_MAGIC else _from_json(content, limit)
    if table.ndim == 2:
        table = table[np.newaxis]
    if table.ndim != 3 or not table.size:
        raise FeaturesError(
            "the features are a table (frames, coefficients), or (segments, frames, coefficients)"
        )
    if not np.isfinite(table).all():
        raise FeaturesError("some of the features are not numbers")
    return table


def _from_npy(content: bytes, limit: int) -> NDArray[np.float64]:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, by_column, dtype = read_header(file)
    except Exception as error:  # whatever a damaged header makes of NumPy's parser
        raise FeaturesError("the features are not a .npy file that NumPy reads") from error
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise FeaturesError(f"the features are numbers, not {dtype}")
    # NumPy takes any int for a length: one below zero, True, or one that no memory could hold.
    lengths = len(shape) <= 3 and all(type(n) is int and 0 < n <= limit for n in shape)
    count = math.prod(shape) if lengths else 0
    if not 0 < count <= limit or count * dtype.itemsize != len(content) - file.tell():
        raise FeaturesError("the .npy file's header doesn't fit its size, or it is too large")
    table = np.frombuffer(content, dtype, offset=file.tell())
    with np.errstate(all="ignore"):  # what is no number is refused by who called
        return table.reshape(shape, order="F" if by_column else "C").astype(np.float64)


def _from_json(content: bytes, limit: int) -> NDArray[np.float64]:
    try:
        values = json.loads(content)
        if isinstance(values, dict):
            values = values.get("features")
        table = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FeaturesError("the features are neither a .npy file nor a table in JSON") from error
    if table.size > limit:
        raise FeaturesError("there are more features than one request may bring")
    return table
