"""The operations of a TFLite file, and whether every phone has them."""

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketgenre.errors import ModelError
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.songs import DataError


def op_names(tflite: bytes) -> list[str]:
    """The operations of a TFLite file, in order."""
    # Without delegates, which would stand in for the operations that they take over.
    with suppress_stderr():
        interpreter = Interpreter(
            model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
    return [str(op["op_name"]) for op in interpreter._get_ops_details()]


def check_builtin_ops(tflite: bytes) -> None:
    """Make sure that a plain TFLite runtime can run the file.

    Raises
    ------
    DataError
        names the operations that it lacks, or the one that it can't run in this form.
    """
    foreign = sorted(
        {name for name in op_names(tflite) if name.startswith("Flex") or name == "CUSTOM"}
    )
    if foreign:
        raise DataError(f"The network needs operations that phones lack: {', '.join(foreign)}.")
    try:
        create_interpreter(tflite)
    except ModelError as error:
        raise DataError(f"The file was converted, but can't be run: {error}") from error
