"""What ``make phone`` serves with a certificate, wherever that lies."""

import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.web.conftest import WEB, needed


def test_a_certificate_is_found_from_where_the_command_was_given(
    npm: str, built: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [npm, "--prefix", WEB, "run", "--silent", "serve", "--",
         "--port", str(port), "--outDir", built],
        cwd=tmp_path, env={**os.environ, "CERT": "cert.pem", "KEY": "key.pem"},
        start_new_session=True,
    )  # fmt: skip
    try:
        trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        assert "pocketgenre" in opened(f"https://localhost:{port}/", trusting, server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def opened(url: str, trusting: ssl.SSLContext, server: subprocess.Popen) -> str:
    """What is there, once the server is."""
    deadline = time.monotonic() + 60
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, context=trusting, timeout=10) as answer:
                return answer.read().decode()
        except OSError as error:
            distrusted = isinstance(getattr(error, "reason", None), ssl.SSLError)
            if distrusted or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
