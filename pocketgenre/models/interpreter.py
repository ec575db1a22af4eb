"""Create TFLite interpreters with LiteRT (``ai-edge-litert``) or ``tflite-runtime``."""

import os
from importlib import import_module
from importlib.metadata import version
from typing import Any

from pocketgenre.errors import ModelError
from pocketgenre.suppress_stderr import suppress_stderr

RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""Module of each package, in the order of preference."""

RUNTIME_VARIABLE = "POCKETGENRE_RUNTIME"
"""Environment variable with the name of the only runtime to use, a key of :data:`RUNTIMES`."""


def create_interpreter(model: bytes, threads: int = 1, *, delegates: bool = True) -> Any:
    """Create an interpreter and allocate its tensors.

    A runtime returns the same bits on x86-64 and on arm64. LiteRT and tflite-runtime differ in the
    last digits: LiteRT delegates to XNNPACK, which rounds differently from the built-in kernels
    and is three times as fast.

    Parameters
    ----------
    model : content of the ``.tflite`` file
    threads : number of threads
    delegates : allow delegation to XNNPACK

    Raises
    ------
    ModelError
        if no runtime is installed, or it can't run the model.
    """
    runtime = _find_runtime()
    resolvers = runtime.OpResolverType
    resolver = resolvers.AUTO if delegates else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        with suppress_stderr():  # the runtime prints its list of delegates
            interpreter = runtime.Interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ModelError(f"The TFLite runtime cannot run this model: {reason}") from error
    return interpreter


def runtime_version() -> str:
    """Return name and version of the runtime, for example ``ai-edge-litert 2.3.0``.

    Raises
    ------
    ModelError
        if no runtime is installed.
    """
    module = _find_runtime().__name__
    package = next(package for package, name in RUNTIMES.items() if name == module)
    return f"{package} {version(package)}"


def _find_runtime() -> Any:
    requested = os.environ.get(RUNTIME_VARIABLE)
    if requested and requested not in RUNTIMES:
        raise ModelError(
            f"{RUNTIME_VARIABLE} must be one of {', '.join(RUNTIMES)}, not {requested}."
        )
    for package in [requested] if requested else RUNTIMES:
        try:
            return import_module(RUNTIMES[package])
        except ModuleNotFoundError:
            continue
        except ImportError as error:
            raise ModelError(f"{package} is installed but broken: {error}") from error
    names = requested or " or ".join(RUNTIMES)
    raise ModelError(f"No TFLite runtime is installed: pip install {names}.")
