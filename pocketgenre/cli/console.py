"""Start commands, and print their progress, messages and errors.

Data is printed to standard output, messages to standard error. An error is one
sentence and a non-zero exit status; ``--debug`` shows its traceback.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pocketgenre.cli.config_file import read_defaults
from pocketgenre.errors import PocketGenreError

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

stderr = Console(stderr=True, highlight=False)

_EXTRAS = {
    "train": (
        "h5py",
        "keras",
        "librosa",
        "matplotlib",
        "scipy",
        "sklearn",
        "tensorboard",
        "tensorflow",
    ),
    "learn": ("scipy", "sklearn"),
    "server": (
        "fastapi",
        "h11",
        "multipart",
        "prometheus_client",
        "pydantic",
        "segno",
        "starlette",
        "uvicorn",
    ),
    "cluster": ("dask", "distributed", "fsspec", "pyarrow"),
}
"""Packages of each extra in pyproject.toml."""


def run(command: Callable[..., Any]) -> NoReturn:
    """Run a command's function with the arguments of ``sys.argv``, and exit.

    The function's docstring is the command's help.
    """
    _open_closed_streams()
    stderr.quiet = False  # of an earlier command in this process
    # TensorFlow, where a command imports it, prints start-up messages to stderr.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    app.command()(command)
    try:
        parser = typer.main.get_command(app)
        name = command.__name__.replace("_", "-")
        parser.context_settings["default_map"] = read_defaults(parser, name, sys.argv[1:])
        parser()
    except (PocketGenreError, OSError, ModuleNotFoundError) as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, BrokenPipeError):  # the reader, for example `head`, has ended
            # Nothing can be written to it at the exit of the interpreter.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if isinstance(error, ModuleNotFoundError):
            explanation = explain_missing_package(error)
            if explanation is None:
                raise
            fail(explanation)
        fail(_sentence(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _open_closed_streams() -> None:
    """Open the null device for standard streams that the caller has closed (``>&-``).

    Otherwise the next file to be opened, such as the catalogue, would get the descriptor of
    standard output, and messages of libraries would be written into it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def explain_missing_package(error: ModuleNotFoundError, preferred: str = "") -> str | None:
    """Return a sentence that names the extra of a missing package; None if it is in no extra.

    ``preferred`` is the extra to name if several have the package.
    """
    package = (error.name or "").partition(".")[0]
    extras = [extra for extra, packages in _EXTRAS.items() if package in packages]
    if not extras:
        return None
    extra = preferred if preferred in extras else extras[0]
    return (
        f"This command needs the package {package}, which is not installed; install the extra"
        f" {extra}, from a checkout: pip install '.[{extra}]'"
    )


@contextmanager
def interrupt_flag() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C set a flag, which is polled between two steps.

    An exception raised inside a decoder's callback would be lost. A second Ctrl-C interrupts at
    once.
    """
    interrupted = threading.Event()

    def set_flag(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, set_flag)
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


def fail(message: str) -> NoReturn:
    """Print an error and exit with status 1."""
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)


def print_status(message: str) -> None:
    """Print a message that is not data to standard error."""
    stderr.print(message, markup=False, soft_wrap=True)


def progress(unit: TextColumn | None = None) -> Progress:
    """Create a progress bar with the remaining time, on standard error."""
    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()]
    return Progress(*columns, *([unit] if unit else []), TimeRemainingColumn(), console=stderr)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}."
    return str(error)
