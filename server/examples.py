"""Load recorded responses for the OpenAPI document, for a synthetic song of ``make scan``."""

import json
from pathlib import Path
from typing import Any

_EXAMPLES: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))

SONG: dict[str, Any] = _EXAMPLES["song"]
SEGMENTS: dict[str, Any] = _EXAMPLES["segments"]
MODELS: dict[str, Any] = _EXAMPLES["models"]
DESCRIPTION: dict[str, Any] = _EXAMPLES["description"]
