"""Check host, origin, token and path of requests, and the log and metrics of responses."""

import errno
import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.cli import serve_classifier
from pocketgenre.server.settings import Settings
from pocketgenre.server.telemetry import LogFormatter
from tests.conftest import invoke
from tests.server.servers import (
    Server,
    build_app,
    log_entries,
    serve_in_process,
    serve_in_thread,
)

TOKEN = "correct-horse-battery-staple"
ALLOWED_ORIGIN = "http://localhost:5173"


@pytest.fixture(scope="module")
def guarded(pool: WorkerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires a token and allows the pages of one other origin."""
    settings = Settings(workers=2, token=TOKEN, origins=(ALLOWED_ORIGIN,))
    log = tmp_path_factory.mktemp("guarded") / "log"
    with serve_in_thread(build_app(pool, settings, "standard"), log) as running:
        yield running


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "music.example"])
def test_public_host_needs_token(host: str) -> None:
    with pytest.raises(PocketGenreError, match="--token"):
        Settings(host=host)
    assert not Settings(host=host, token=TOKEN).is_local


@pytest.mark.parametrize("token", ["short", "has a space in it, alas", "ümlaut-ümlaut-ümlaut"])
def test_weak_or_invalid_token_is_refused(token: str) -> None:
    with pytest.raises(PocketGenreError, match="at least 16"):
        Settings(token=token)


def test_refusal_is_one_sentence() -> None:
    result = invoke("pocketgenre.server.cli", "--host", "0.0.0.0", "--port", 0)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: At 0.0.0.0 other machines can reach the server")
    assert result.stderr.count("\n") == 1


def test_occupied_port_is_named(server: Server) -> None:
    _, port = server.address
    result = invoke("pocketgenre.server.cli", "--port", port)
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: Cannot bind to port {port} of 127.0.0.1 (Address already in use); choose another"
        " --host or --port.\n"
    )


def test_help_shows_how_to_share_token() -> None:
    example = re.search(r"`(export [^`]+ --host 0\.0\.0\.0)`", serve_classifier.__doc__ or "")
    assert example
    stub = "serve-classifier() { printenv POCKETGENRE_TOKEN; }"
    command = ["bash", "-c", f"{stub}\n{example[1]}"]
    shown, used = subprocess.check_output(command, text=True).split()
    assert shown == used
    assert Settings(host="0.0.0.0", token=shown)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:9]} {TOKEN[9:]}"},
        {"Authorization": TOKEN},
        {"Authorization": "é"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/model", "/metrics", "/openapi.json", "/x"])
def test_data_needs_token(guarded: Server, path: str, header: dict) -> None:
    header = {name: value.encode() for name, value in header.items()}
    response = guarded.get(path, headers=header)
    assert response.status_code == 401
    assert response.json()["code"] == "token-needed"
    assert response.headers["www-authenticate"] == "Bearer"


def test_valid_token_is_accepted(guarded: Server, songs: Path) -> None:
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/v1/models", headers=header).status_code == 200
    assert guarded.post("/v1/classify", songs / "opus.opus").status_code == 401
    assert guarded.post("/v1/classify", songs / "opus.opus", headers=header).status_code == 200


@pytest.mark.parametrize("header", [f"Bearer  {TOKEN}", f"BEARER {TOKEN}"])
def test_spaces_around_token_are_ignored(guarded: Server, header: str) -> None:
    assert guarded.get("/v1/models", headers={"Authorization": header}).status_code == 200


def test_missing_and_wrong_token_are_distinguished(guarded: Server) -> None:
    missing = guarded.get("/v1/models").json()["detail"]
    wrong = guarded.get("/v1/models", headers={"Authorization": "Bearer wrong"}).json()["detail"]
    assert missing == "Send the header Authorization: Bearer TOKEN."
    assert wrong == "The token is wrong."


@pytest.mark.parametrize("path", ["/", "/page", "/page/page.js", "/docs", "/healthz", "/readyz"])
def test_page_and_health_need_no_token(guarded: Server, path: str) -> None:
    assert guarded.get(path, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("path", ["/pages", "/page.js", "/docs/x", "//page", "/healthz/"])
def test_other_paths_need_token(guarded: Server, path: str) -> None:
    assert guarded.get_raw(path).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/", "/page/", "/docs", "/healthz", "/v1/models", "/metrics"])
def test_head_is_get_without_content(server: Server, path: str) -> None:
    with server.client() as client:
        head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    assert client.is_closed
    entry = log_entries(server)[-2]
    assert entry["method"] == "HEAD"


@pytest.mark.parametrize("path", ["/page", "/v1/models/", "//evil.example/page/../page"])
def test_redirect_names_no_host(pool: WorkerPool, tmp_path: Path, path: str) -> None:
    settings = Settings(host="0.0.0.0", workers=2, token=TOKEN)
    with serve_in_thread(build_app(pool, settings), tmp_path / "log") as running:
        headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
        with running.client() as client:
            request = client.build_request("GET", running.url + path, headers=headers)
            response = client.send(request)
    location = response.headers.get("location", "/")
    assert "evil.example" not in location.removeprefix("/evil.example/")
    assert re.match("/(?!/)", location)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::2]", "[x"])
def test_foreign_host_is_refused(server: Server, host: str) -> None:
    response = server.get("/v1/models", headers={"Host": host})
    assert response.status_code == 421
    assert response.json()["code"] == "wrong-host"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:8000", "LOCALHOST:8000"])
def test_local_host_is_accepted(server: Server, host: str) -> None:
    assert server.get("/v1/models", headers={"Host": host}).status_code == 200


def test_wildcard_of_ipv6_includes_ipv4(tmp_path: Path) -> None:
    options = ("--workers", 1, "--host", "::", "--model", "standard")
    with serve_in_process(tmp_path / "log", *options, POCKETGENRE_TOKEN=TOKEN) as running:
        port = running.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            assert httpx.get(f"http://{host}:{port}/healthz", trust_env=False).status_code == 200


def test_workers_do_not_get_the_token(tmp_path: Path) -> None:
    options = ("--workers", 1, "--model", "standard")
    with serve_in_process(tmp_path / "log", *options, POCKETGENRE_TOKEN=TOKEN) as running:
        (worker,) = running.workers()
        assert worker.environ()["PYTHONPATH"]
        assert TOKEN not in str(worker.environ())
        assert running.get("/v1/models").status_code == 401


def test_command_serves_at_chosen_address(tmp_path: Path) -> None:
    options = ("--workers", 1, "--host", "127.0.0.2", "--model", "standard")
    with serve_in_process(tmp_path / "log", *options, POCKETGENRE_TOKEN=TOKEN) as running:
        assert running.url.startswith("http://127.0.0.2:")
        assert running.get("/v1/models").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "find-me"}
        assert running.get("/v1/models", headers=headers).json()["default"] == "standard"
        entry = log_entries(running)[-1]
        assert (entry["request"], entry["path"]) == ("find-me", "/v1/models")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
def test_foreign_page_cannot_post(server: Server, songs: Path, origin: str) -> None:
    response = server.post("/v1/classify", songs / "opus.opus", headers={"Origin": origin})
    assert response.status_code == 403
    assert response.json()["code"] == "foreign-origin"
    assert "access-control-allow-origin" not in response.headers


def test_allowed_origin_is_accepted(guarded: Server) -> None:
    preflight = {"Origin": ALLOWED_ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight["Access-Control-Request-Headers"] = "authorization"
    foreign = preflight | {"Origin": "http://evil.example"}
    with guarded.client() as client:
        allowed_response = client.options("/v1/classify", headers=preflight)
        foreign_response = client.options("/v1/classify", headers=foreign)
    assert allowed_response.status_code == 200
    assert allowed_response.headers["access-control-allow-origin"] == ALLOWED_ORIGIN
    assert "access-control-allow-origin" not in foreign_response.headers
    header = {"Origin": ALLOWED_ORIGIN, "Authorization": f"Bearer {TOKEN}"}
    response = guarded.get("/v1/models", headers=header)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ALLOWED_ORIGIN


@pytest.mark.parametrize("path", ["/", "/page/page.css", "/v1/models", "/nowhere"])
def test_security_headers_are_strict(server: Server, path: str) -> None:
    headers = server.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nowhere", "unknown-path"),
        ("/v1/classify", "wrong-method"),
        ("/v1/model?model=nobody", "unknown-model"),
        ("/v1/model?model=../../etc/passwd", "unknown-model"),
        ("/v1/model?model=" + "x" * 201, "invalid-request"),
    ],
)
def test_unknown_resource_is_a_problem(server: Server, path: str, code: str) -> None:
    response = server.get(path)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:pocketgenre:problem:{code}"
    assert problem["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/../../server/app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py"],
)
def test_files_outside_page_are_not_served(server: Server, path: str) -> None:
    response = server.get_raw(path)
    assert response.startswith(b"HTTP/1.1 404 ")
    assert b'"unknown-path"' in response


def test_valid_request_id_is_kept(guarded: Server) -> None:
    response = guarded.get("/healthz", headers={"X-Request-ID": "a-1.b"})
    assert response.headers["x-request-id"] == "a-1.b"
    for invalid in ("a b", "x" * 65, "{}"):
        response = guarded.get("/healthz", headers={"X-Request-ID": invalid})
        assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


def test_log_has_request_id_but_no_names(guarded: Server, songs: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "find-me"}
    guarded.post("/v1/classify", songs / "Bells.m4a", headers=headers)
    guarded.get("/secret-path?secret-query", headers=headers)
    found = [entry for entry in log_entries(guarded) if entry.get("request") == "find-me"]
    assert [(entry["path"], entry["status"]) for entry in found] == [
        ("/v1/classify", "200"),
        ("-", "404"),
    ]
    assert int(found[0]["bytes"]) > (songs / "Bells.m4a").stat().st_size
    for secret in ("Bells", "secret", TOKEN):
        assert secret not in guarded.log.read_text()


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined"])
def test_invalid_file_name_is_refused_unlogged(server: Server, charset: str) -> None:
    name = b"xn--my-secret-diary-"
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%s"' % name
    content_type = f"multipart/form-data; boundary=edge; charset={charset}"
    body = head + b"\r\n\r\nx\r\n--edge--\r\n"
    response = server.post_body("/v1/classify", body, content_type)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert "secret" not in response.text
    assert "secret" not in server.log.read_text()


def test_logged_traceback_omits_message() -> None:
    def fail(name: str) -> None:
        try:
            int(name)
        except ValueError as error:
            raise PermissionError(errno.EACCES, name) from error

    with pytest.raises(PermissionError) as caught:
        fail("-".join(["my", "secret"]))  # joined here, since a traceback shows lines of the source
    record = logging.LogRecord(
        "server", logging.ERROR, "", 0, "failed", None, (caught.type, caught.value, caught.tb)
    )
    line = LogFormatter().format(record)
    assert "my-secret" not in line
    assert "ValueError" in line
    assert "PermissionError EACCES" in line
    assert line.count("in fail") == 2


def test_metrics_count_requests_and_files(server: Server, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary")
    counters = (
        'pocketgenre_files_total{outcome="ok"}',
        'pocketgenre_files_total{outcome="not-audio"}',
        'pocketgenre_requests_total{method="POST",path="/v1/classify",status="200"}',
    )
    before = [server.metric(name) for name in counters]
    server.post("/v1/classify", songs / "opus.opus", tmp_path / "diary.mp3")
    assert [server.metric(name) for name in counters] == [n + 1 for n in before]
    assert server.metric("pocketgenre_files_waiting") == 0
    assert server.metric("process_open_fds") > 0


def test_unknown_method_is_not_recorded(server: Server) -> None:
    with server.client() as client:
        assert client.request("SECRET", "/v1/models").status_code == 405
    assert "SECRET" not in server.get("/metrics").text
    assert "SECRET" not in server.log.read_text()
