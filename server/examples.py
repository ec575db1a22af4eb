"""Real answers, for OpenAPI."""

from typing import Any

SONG: dict[str, Any] = {}
SEGMENTS: dict[str, Any] = {}
MODELS: dict[str, Any] = {}
DESCRIPTION: dict[str, Any] = {}
