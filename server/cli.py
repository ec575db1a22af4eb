"""Run ``serve-classifier``, the local HTTP server."""

import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import WorkerPool, usable_cores
from pocketgenre.models.pretrained import DEFAULT_MODEL
from pocketgenre.server.address import print_qr_code, reachable_url, url_of
from pocketgenre.server.app import create_app
from pocketgenre.server.model_registry import open_registry
from pocketgenre.server.pages import BUILT, PHONE_PATH
from pocketgenre.server.service import Service
from pocketgenre.server.settings import TOKEN_VARIABLE, Limits, Settings
from pocketgenre.server.tasks import TaskRunner
from pocketgenre.server.telemetry import Metrics, configure_logging
from pocketgenre.server.timeouts import TimeoutProtocol
from pocketgenre.text import count_of

_ACCESS, _LIMITS = "Access", "Limits"  # panels of the help
_MAX_CONNECTIONS = 512
_MAX_OPEN_FILES = 65_536  # the default of many systems, 1,024, may be too small
_BACKLOG = 2_048


class _Server(uvicorn.Server):
    """uvicorn, which ends with status 0 after a signal to stop, also after SIGHUP."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
                signal.signal(number, self.handle_exit)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
            logging.getLogger("uvicorn.error").disabled = True  # cancelled requests are no errors
        self.should_exit = True


def serve_classifier(
    model: Annotated[
        str,
        typer.Option(
            help="Default model: best, standard, best_waveform, standard_waveform, a model of"
            " --models, or a TFLite file with its JSON model card next to it.",
            metavar="NAME|FILE",
        ),
    ] = DEFAULT_MODEL,
    models: Annotated[
        Path | None,
        typer.Option(
            help="Folder of more exported models: .tflite files with their model cards.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes. Default: the number of cores.", min=1, max=256),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to bind to. Addresses that other machines can reach need --token.",
            rich_help_panel=_ACCESS,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            help="Port to bind to. 0: any free port.", min=0, max=65_535, rich_help_panel=_ACCESS
        ),
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            help="Token that requests must send as Authorization: Bearer TOKEN.",
            envvar=TOKEN_VARIABLE,
            show_default=False,
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin of another page that may send requests, for example"
            " http://localhost:5173. May be repeated.",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    max_mb: Annotated[
        float,
        typer.Option(help="Largest request [MB].", min=0.001, max=10_000, rich_help_panel=_LIMITS),
    ] = Limits.upload_bytes / 1e6,
    max_files: Annotated[
        int,
        typer.Option(
            help="Maximum number of files in a request.", min=1, max=64, rich_help_panel=_LIMITS
        ),
    ] = Limits.files,
    max_minutes: Annotated[
        float,
        typer.Option(help="Longest song [minutes].", min=0.05, max=600, rich_help_panel=_LIMITS),
    ] = Limits.audio_seconds / 60,
    max_seconds: Annotated[
        float,
        typer.Option(
            help="Longest processing time for a song [s].",
            min=0.1,
            max=3600,
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.job_seconds,
    upload_seconds: Annotated[
        float,
        typer.Option(
            help="Longest upload time of a request [s].",
            min=0.1,
            max=3600,
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.upload_seconds,
    queue: Annotated[
        int,
        typer.Option(
            help="Files that may wait for a worker. Further requests get status 429.",
            min=0,
            max=1_000,
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.queue,
    phone: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a built phone page to serve at /phone/. Default: the output of make"
            " phone, if it exists.",
            metavar="DIR",
            show_default=False,
            exists=True,
            file_okay=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve the genre classifier over HTTP, by default for this machine only.

    The address that is shown has a page for dropping songs. Uploaded files are not kept. Ctrl-C
    finishes the requests that have begun and stops; a second Ctrl-C stops at once.

    For example:

    - `serve-classifier`, then `curl -F file=@song.mp3 localhost:8000/v1/classify`

    - `serve-classifier --models exports --model exports/cnn.tflite`

    - `export POCKETGENRE_TOKEN=$(openssl rand -hex 16); echo $POCKETGENRE_TOKEN;
      serve-classifier --host 0.0.0.0`
    """
    limits = Limits(
        round(max_mb * 1e6), upload_seconds, max_files, max_minutes * 60, max_seconds, queue
    )
    worker_count = usable_cores() if workers is None else workers
    page = phone or (BUILT if (BUILT / "index.html").is_file() else None)
    origins = tuple(allow_origin or ())
    settings = Settings(host, port, worker_count, token or None, origins, limits, page)
    registry = open_registry(model, models)
    os.environ.pop(TOKEN_VARIABLE, None)  # workers, which decode hostile files, inherit it
    contents = {name: (served.content, served.card) for name, served in registry.by_name.items()}
    setup = TaskRunner(contents, registry.default)
    with (
        _bind(settings) as server_socket,
        WorkerPool(setup, worker_count, killed_retries=1) as pool,
    ):
        app = create_app(Service(settings, registry, pool, Metrics()))
        pool.start()
        configure_logging()
        config = uvicorn.Config(
            app,
            http=TimeoutProtocol,
            loop="asyncio",  # uvloop, which uvicorn prefers, has no limit on the bytes of a read
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
        )
        url = url_of(*server_socket.getsockname()[:2])
        if reachable := reachable_url(server_socket):
            print_status(f"Phones and other machines reach it at {reachable}")
            if sys.stderr.isatty():
                print_qr_code(reachable)
        print_status(
            f"Serving {registry.default} at {url} with {count_of(worker_count, 'worker')};"
            " stop with Ctrl-C."
        )
        if settings.phone:
            print_status(f"The phone page is at {url}{PHONE_PATH}")
        server = _Server(config)
        server.run([server_socket])
        if server.force_exit:
            raise KeyboardInterrupt


def _bind(settings: Settings) -> socket.socket:
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_unlimited = hard_limit == resource.RLIM_INFINITY
    soft_limit = _MAX_OPEN_FILES if is_unlimited else min(hard_limit, _MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard_limit))
    is_ipv6 = ":" in settings.host
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=_BACKLOG,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),  # :: includes IPv4
        )
    except OSError as error:
        reason = (error.strerror or os.strerror(error.errno or 0)).partition(" (while")[0]
        raise PocketGenreError(
            f"Cannot bind to port {settings.port} of {settings.host} ({reason}); choose another"
            " --host or --port."
        ) from error


def main() -> None:
    """Run the command."""
    run(serve_classifier)


if __name__ == "__main__":
    main()
