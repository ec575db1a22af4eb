"""Call functions of the page's sources in Chromium, without the page."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Browser

BrowserCalls = Callable[..., Any]

_CALL = """async ([name, args]) => {
  const revive = value => {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(revive);
    if ("$bytes" in value) return Uint8Array.from(atob(value.$bytes), c => c.charCodeAt());
    if ("$float32" in value) return new Float32Array(revive({$bytes: value.$float32}).buffer);
    if ("$map" in value) return new Map(value.$map);
    if ("$file" in value) return new File([revive(value.$file[1])], value.$file[0]);
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revive(one)]));
  };
  const encode = value => {
    if (value === null || typeof value !== "object") return value;
    if (value instanceof Map) return Array.from(value, encode);
    if (value instanceof Uint8Array) {
      let binary = "";
      for (let at = 0; at < value.length; at += 32768)
        binary += String.fromCharCode(...value.subarray(at, at + 32768));
      return {$bytes: btoa(binary)};
    }
    if (ArrayBuffer.isView(value)) return Array.from(value);
    if (Array.isArray(value)) return value.map(encode);
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, encode(one)]));
  };
  try {
    return {value: encode(await functions[name](...args.map(revive)))};
  } catch (error) {
    return {error: error.message};
  }
}"""


@contextmanager
def open_functions(browser: Browser, bundle: str) -> Iterator[BrowserCalls]:
    """Load a script that defines ``functions``, and return a function that calls one of them.

    Bytes are returned as such, and an error as its message.
    """
    page = browser.new_page()
    page.add_script_tag(content=bundle)

    def call(name: str, *arguments: Any) -> Any:
        result = page.evaluate(_CALL, [name, list(arguments)])
        value = result.get("value", result.get("error"))
        is_bytes = isinstance(value, dict) and "$bytes" in value
        return base64.b64decode(value["$bytes"]) if is_bytes else value

    yield call
    page.close()


def as_float32(values: np.ndarray) -> dict[str, str]:
    """Encode an array; the function gets a Float32Array."""
    return {"$float32": base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()}


def as_bytes(content: bytes) -> dict[str, str]:
    """Encode bytes; the function gets a Uint8Array."""
    return {"$bytes": base64.b64encode(content).decode()}


def as_map(values: dict[int, float]) -> dict[str, Any]:
    """Encode a Map with numbers as keys."""
    return {"$map": list(values.items())}


def as_file(name: str, content: bytes) -> dict[str, Any]:
    """Encode a File."""
    return {"$file": [name, as_bytes(content)]}
