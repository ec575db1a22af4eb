"""Define types for calls of the page's rules."""

from collections.abc import Callable
from typing import Any

import numpy as np

RuleCalls = Callable[..., list[Any]]


def float32(values: np.ndarray) -> dict[str, Any]:
    """Encode an array for a call; the function gets a Float32Array."""
    return {"float32": np.asarray(values, np.float32).ravel().tolist()}
