"""``serve-classifier``: the local test endpoint."""

import os
import resource
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import usable_cores
from pocketgenre.models.pretrained import DEFAULT_MODEL
from pocketgenre.server.app import create_app
from pocketgenre.server.model_registry import open_registry
from pocketgenre.server.phone_page import BUILT, PATH
from pocketgenre.server.pool import Pool
from pocketgenre.server.service import Service
from pocketgenre.server.settings import TOKEN_VARIABLE, Limits, Settings
from pocketgenre.server.tasks import TaskRunner
from pocketgenre.server.telemetry import Metrics, set_up_logging
from pocketgenre.server.timeouts import PatientProtocol

_REACH, _COST = "Who may ask", "What a request may cost"
_MOST_CONNECTIONS = 512
_MOST_FILES = 65_536  # open ones; a system's default of 1,024 may be too few
_BACKLOG = 2_048


class LogForm(StrEnum):
    """How the log is written."""

    plain = "plain"
    json = "json"


def serve_classifier(
    model: Annotated[
        str,
        typer.Option(
            help="Which answers where a request names none: best, standard, their _waveform forms,"
            " one of --models, or a TFLite file with its JSON card beside it.",
            metavar="NAME|FILE",
        ),
    ] = DEFAULT_MODEL,
    models: Annotated[
        Path | None,
        typer.Option(
            help="More exported models to choose from: .tflite files, their cards beside them.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that listen; all cores by default.", min=1, max=256),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to bind to; another than this needs --token.", rich_help_panel=_REACH
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="0: any that is free.", min=0, max=65_535, rich_help_panel=_REACH)
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            help="What requests have to bear: Authorization: Bearer TOKEN.",
            envvar=TOKEN_VARIABLE,
            show_default=False,
            rich_help_panel=_REACH,
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Another page that may ask, http://localhost:5173 for example; again for more.",
            rich_help_panel=_REACH,
        ),
    ] = None,
    max_mb: Annotated[
        float,
        typer.Option(help="Size of a request.", min=0.001, max=10_000, rich_help_panel=_COST),
    ] = Limits.upload_bytes / 1e6,
    max_files: Annotated[
        int, typer.Option(help="Files of a request.", min=1, max=64, rich_help_panel=_COST)
    ] = Limits.files,
    max_minutes: Annotated[
        float,
        typer.Option(help="Length of a song.", min=0.05, max=600, rich_help_panel=_COST),
    ] = Limits.audio_seconds / 60,
    max_seconds: Annotated[
        float,
        typer.Option(help="Time to listen to a song.", min=0.1, max=3600, rich_help_panel=_COST),
    ] = Limits.work_seconds,
    upload_seconds: Annotated[
        float,
        typer.Option(help="Time to upload.", min=0.1, max=3600, rich_help_panel=_COST),
    ] = Limits.upload_seconds,
    queue: Annotated[
        int,
        typer.Option(
            help="Requests that wait for a worker; more are told to come again.",
            min=0,
            max=1_000,
            rich_help_panel=_COST,
        ),
    ] = Limits.waiting,
    phone: Annotated[
        Path | None,
        typer.Option(
            help="A built phone page, served at /phone/; by default what make phone built.",
            metavar="DIR",
            show_default=False,
            exists=True,
            file_okay=False,
        ),
    ] = None,
    log: Annotated[LogForm, typer.Option(help="A line a request, on stderr.")] = LogForm.plain,
    debug: Debug = False,
) -> None:
    """Answer over HTTP what the phone would say of a song, to this machine alone.

    There is a page to drop songs on, at the address that is shown. Nothing that is uploaded is
    kept. Ctrl-C ends it when what has begun is done, a second one at once.

    For example:

    - `serve-classifier`, then `curl -F file=@song.mp3 localhost:8000/v1/classify`

    - `serve-classifier --models exports --model exports/cnn.tflite`

    - `export POCKETGENRE_TOKEN=$(openssl rand -hex 16); echo $POCKETGENRE_TOKEN;
      serve-classifier --host 0.0.0.0`
    """
    limits = Limits(
        round(max_mb * 1e6), upload_seconds, max_files, max_minutes * 60, max_seconds, queue
    )
    count = usable_cores() if workers is None else workers
    page = phone or (BUILT if (BUILT / "index.html").is_file() else None)
    settings = Settings(host, port, count, token or None, tuple(allow_origin or ()), limits, page)
    shelf = open_registry(model, models)
    with _bound(settings) as bound:
        contents = {name: (one.content, one.card) for name, one in shelf.by_name.items()}
        pool = Pool(TaskRunner(contents, shelf.default), count)
        app = create_app(Service(settings, shelf, pool, Metrics()))
        pool.start()
        set_up_logging(log.value)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
        )
        address = _address(bound)
        print_status(f"Serving {shelf.default} at {address} with {count} workers; Ctrl-C ends it.")
        if settings.phone:
            print_status(f"The phone page is at {address}{PATH}")
        try:
            uvicorn.Server(config).run(sockets=[bound])
        except KeyboardInterrupt:
            print_status("Ended.")


def _bound(settings: Settings) -> socket.socket:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = (error.strerror or os.strerror(error.errno or 0)).partition(" (while")[0]
        raise PocketGenreError(
            f"Port {settings.port} of {settings.host} cannot be had ({reason}); choose another"
            " --host or --port."
        ) from error


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main() -> None:
    """Entry point of the command."""
    run(serve_classifier)


if __name__ == "__main__":
    main()
