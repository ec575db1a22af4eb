"""Start the server of ``make phone`` and ``make phone-wifi``, with and without a certificate."""

import json
import os
import pty
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until
from tests.web.conftest import WEB, require

SHADES = {" ": (1, 1), "▄": (1, 0), "▀": (0, 1), "█": (0, 0)}
"""By character of a drawn code: the upper and the lower module, 1 for dark."""


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def serving(
    npm: str, built: Path, folder: Path, *options: str, stderr: int | None = None, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the server in a folder; yield its process and its port."""
    port = free_port()
    server = subprocess.Popen(
        [npm, "--prefix", WEB, "run", "--silent", "serve", "--",
         "--port", str(port), "--outDir", built, *options],
        cwd=folder, env={**os.environ, **variables}, start_new_session=True, stderr=stderr,
    )  # fmt: skip
    try:
        yield server, port
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def read_when_ready(
    url: str, context: ssl.SSLContext | None, server: subprocess.Popen[bytes]
) -> bytes:
    """Read an address as soon as its server has started."""
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, context=context, timeout=10) as response:
                return response.read()
        except OSError as error:
            untrusted = isinstance(getattr(error, "reason", None), ssl.SSLError)
            if untrusted or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_certificate_path_is_relative_to_user(npm: str, built: Path, tmp_path: Path) -> None:
    subprocess.run(
        [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    own = {"CERT": "cert.pem", "KEY": "key.pem"}
    with serving(npm, built, tmp_path, **own) as (server, port):
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        assert b"pocketgenre" in read_when_ready(f"https://localhost:{port}/", context, server)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    """Return variables for an empty data folder, and a search path without mkcert."""
    found = {Path(require(tool)).parent for tool in ("node", "npm", "openssl", "sh")}
    return {"XDG_DATA_HOME": str(tmp_path), "PATH": os.pathsep.join(map(str, found))}


def root_of(folder: Path) -> Path:
    return folder / "pocketgenre" / "certificate" / "root.crt"


def test_own_certificate_is_valid_for_network(
    npm: str, built: Path, tmp_path: Path, data: dict[str, str]
) -> None:
    with serving(npm, built, tmp_path, "--wifi", **data) as (server, port):
        until(root_of(tmp_path).exists)
        context = ssl.create_default_context(cafile=root_of(tmp_path))
        address = f"https://127.0.0.1:{port}/"
        assert b"pocketgenre" in read_when_ready(address, context, server)
        served = read_when_ready(f"{address}root.crt", context, server)
    first = root_of(tmp_path).read_bytes()
    assert served == first
    assert {stat.S_IMODE(file.stat().st_mode) for file in root_of(tmp_path).parent.iterdir()} == {
        0o600
    }
    assert not list(tmp_path.rglob("root.key"))
    with serving(npm, built, tmp_path, "--wifi", **data) as (server, port):
        read_when_ready(f"https://127.0.0.1:{port}/", context, server)
    assert root_of(tmp_path).read_bytes() == first  # so that the phone need not trust another one


def test_wifi_without_certificate_programs_is_refused(
    npm: str, built: Path, tmp_path: Path, data: dict[str, str]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("node", "sh"):
        (tools / tool).symlink_to(require(tool))
    command = [require("node"), WEB / "serve.mjs", "--wifi", "--outDir", built]
    environment = {**data, "PATH": str(tools)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "Error: There is neither mkcert nor openssl to make a certificate: install one of them.\n"
    )


def drawn_modules(text: str) -> list[list[int]]:
    """Read the modules of a code that is drawn with half blocks, 1 for dark."""
    rows: list[list[int]] = []
    for line in re.findall(r"\x1b\[38;5;231;48;5;16m(.*?)\x1b\[0m", text):
        rows += [[SHADES[character][half] for character in line] for half in (0, 1)]
    return rows


def test_terminal_shows_code_of_address(
    npm: str, built: Path, tmp_path: Path, data: dict[str, str]
) -> None:
    terminal, stderr = pty.openpty()
    with serving(npm, built, tmp_path, "--wifi", stderr=stderr, **data) as (_, port):
        os.close(stderr)
        shown = b""
        while b"no longer need it" not in shown:
            shown += os.read(terminal, 4096)
    os.close(terminal)
    text = shown.decode().replace("\r", "")
    address = re.search(rf"https://[\d.]+:{port}/", text)
    assert address
    script = (
        "import { encode } from 'uqr'; const { data } = encode(process.argv[1], { border: 4 });"
        " console.log(JSON.stringify(data.map(row => row.map(Number))))"
    )
    encoded = subprocess.run(
        [require("node"), "--input-type=module", "-e", script, address[0]],
        cwd=WEB, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = json.loads(encoded.stdout)
    assert drawn_modules(text)[: len(expected)] == expected
