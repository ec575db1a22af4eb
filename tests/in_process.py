"""Run a command in the process of the test, which saves the start of an interpreter."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from subprocess import CompletedProcess
from unittest.mock import patch


def run_in_process(
    module: str, *arguments: object, errors: str = "strict"
) -> CompletedProcess[str]:
    """Run a command's module as the fixture ``run_command`` does, without a subprocess.

    Parameters
    ----------
    module : module with a function ``main``, for example ``pocketgenre.cli.list_songs``
    arguments : arguments of the command line
    errors : how bytes of the output that are not UTF-8 are decoded
    """
    main = import_module(module).main
    command = [module, *map(str, arguments)]
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
    status: object = 0
    with redirect_stdout(stdout), redirect_stderr(stderr), patch.object(sys, "argv", command):
        try:
            main()
        except SystemExit as end:
            status = end.code
    output, messages = (
        stream.buffer.getvalue().decode("utf-8", errors)  # type: ignore[attr-defined]
        for stream in (stdout, stderr)
    )
    assert isinstance(status, int), status
    return CompletedProcess(command, status, output, messages)
