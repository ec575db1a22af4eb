"""What every command shares: how it starts, reports progress and fails.

stdout carries data, stderr what is said to the person. An error is one sentence and a
non-zero exit status; its traceback is shown with ``--debug`` alone.
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

from pocketgenre.errors import PocketGenreError
from pocketgenre.text import printable as printable  # noqa: PLC0414 - every command needs it

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

stderr = Console(stderr=True, highlight=False)


def run(command: Callable[..., Any]) -> NoReturn:
    """Run a command's function from ``sys.argv`` and exit; its docstring is its help."""
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    app.command()(command)
    try:
        app()
    except (PocketGenreError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, BrokenPipeError):  # the reader, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        fail(_sentence(error))
    sys.exit(0)


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question that is asked between two pieces of work.

    Raised in the middle, inside a decoder's callback, it would be lost. A second Ctrl-C
    interrupts at once.
    """
    asked = threading.Event()

    def remember(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def fail(message: str) -> NoReturn:
    """Say what went wrong and exit with status 1."""
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)


def print_status(message: str) -> None:
    """Tell the person something that is not data."""
    stderr.print(message, markup=False, soft_wrap=True)


def progress(unit: TextColumn | None = None) -> Progress:
    """A progress bar on stderr with the time left."""
    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()]
    return Progress(*columns, *([unit] if unit else []), TimeRemainingColumn(), console=stderr)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}."
    return str(error)
