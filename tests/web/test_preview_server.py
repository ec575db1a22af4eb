"""Start the server of ``make phone`` with a certificate."""

import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.web.conftest import WEB, require


def test_certificate_path_is_relative_to_user(npm: str, built: Path, tmp_path: Path) -> None:
    subprocess.run(
        [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = subprocess.Popen(
        [npm, "--prefix", WEB, "run", "--silent", "serve", "--",
         "--port", str(port), "--outDir", built],
        cwd=tmp_path, env={**os.environ, "CERT": "cert.pem", "KEY": "key.pem"},
        start_new_session=True,
    )  # fmt: skip
    try:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        assert "pocketgenre" in read_when_ready(f"https://localhost:{port}/", context, server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def read_when_ready(url: str, context: ssl.SSLContext, server: subprocess.Popen) -> str:
    """Read a page as soon as its server has started."""
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, context=context, timeout=10) as response:
                return response.read().decode()
        except OSError as error:
            untrusted = isinstance(getattr(error, "reason", None), ssl.SSLError)
            if untrusted or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
