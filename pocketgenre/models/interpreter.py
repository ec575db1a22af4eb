"""Find a TFLite runtime: LiteRT (``ai-edge-litert``) or its predecessor ``tflite-runtime``."""

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
"""Package to module, in the order in which they are tried."""

RUNTIME_VARIABLE = "POCKETGENRE_RUNTIME"
"""Environment variable that names one of :data:`RUNTIMES` to use and no other."""


def create_interpreter(model: bytes, threads: int = 1, *, delegates: bool = True) -> Any:
    """An interpreter with its tensors allocated.

    A runtime gives the same bits on x86-64 and on arm64. LiteRT and tflite-runtime differ from
    each other in the last digits: LiteRT hands the network to XNNPACK, which rounds otherwise
    than the built-in kernels do, and is three times as fast.

    Parameters
    ----------
    model : content of the ``.tflite`` file
    threads : that the runtime may use
    delegates : whether it may hand operations to XNNPACK

    Raises
    ------
    ModelError
        no runtime is installed, or it can't run the model.
    """
    runtime = _find_runtime()
    resolvers = runtime.OpResolverType
    resolver = resolvers.AUTO if delegates else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        with suppress_stderr():  # the runtime greets with its list of delegates
            interpreter = runtime.Interpreter(
                model_content=model, num_threads=threads, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ModelError(f"The TFLite runtime cannot run this model: {reason}") from error
    return interpreter


def runtime_version() -> str:
    """Name and version of the runtime that is used, ``ai-edge-litert 2.3.0`` for example.

    Raises
    ------
    ModelError
        none is installed.
    """
    module = _find_runtime().__name__
    package = next(package for package, name in RUNTIMES.items() if name == module)
    return f"{package} {version(package)}"


def _find_runtime() -> Any:
    wanted = os.environ.get(RUNTIME_VARIABLE)
    if wanted and wanted not in RUNTIMES:
        raise ModelError(f"{RUNTIME_VARIABLE} must be one of {', '.join(RUNTIMES)}, not {wanted}.")
    for package in [wanted] if wanted else RUNTIMES:
        try:
            return import_module(RUNTIMES[package])
        except ModuleNotFoundError:
            continue
        except ImportError as error:
            raise ModelError(f"{package} is installed but broken: {error}") from error
    names = wanted or " or ".join(RUNTIMES)
    raise ModelError(f"No TFLite runtime found: pip install {names}.")
