"""Check that a TFLite file uses only built-in operations."""

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketgenre.errors import ModelError
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.errors import DataError


def op_names(tflite: bytes) -> list[str]:
    """List the operations of a TFLite file in execution order."""
    # A delegate would be listed in place of the operations that it runs.
    with suppress_stderr():
        interpreter = Interpreter(
            model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
    return [str(op["op_name"]) for op in interpreter._get_ops_details()]


def require_builtin_ops(tflite: bytes) -> None:
    """Check that a plain TFLite runtime can run the file.

    Raises
    ------
    DataError
        if it cannot; the message names the operations.
    """
    others = sorted(
        {name for name in op_names(tflite) if name.startswith("Flex") or name == "CUSTOM"}
    )
    if others:
        raise DataError(f"The network needs operations that phones lack: {', '.join(others)}.")
    try:
        create_interpreter(tflite)
    except ModelError as error:
        raise DataError(f"The file was converted, but cannot be run: {error}") from error
