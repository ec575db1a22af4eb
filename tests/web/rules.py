"""How the page's rules are called, and what they are given."""

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[..., list[Any]]


def float32(values: np.ndarray) -> dict[str, Any]:
    return {"float32": np.asarray(values, np.float32).ravel().tolist()}
