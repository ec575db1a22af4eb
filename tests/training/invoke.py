"""Run a command in the test's own process, which saves the start of TensorFlow."""

from collections.abc import Callable

import typer
from click.testing import Result
from typer.testing import CliRunner

from pocketgenre.errors import PocketGenreError


def invoke(command: Callable[..., None], *arguments: object) -> Result:
    """Run a command that must succeed."""
    result = _run(command, arguments)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result


def refusal(command: Callable[..., None], *arguments: object) -> str:
    """Run a command that must fail with an error message, and return the message."""
    result = _run(command, arguments)
    assert isinstance(result.exception, PocketGenreError), f"{result.output}\n{result.exception!r}"
    return str(result.exception)


def _run(command: Callable[..., None], arguments: tuple[object, ...]) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [*map(str, arguments)])
