"""Who may ask, and what is refused before anything is read."""

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.server.cli import serve_classifier
from pocketgenre.server.settings import Settings
from pocketgenre.server.telemetry import JsonLines, PlainLines
from tests.conftest import Command
from tests.server.serving import Serving, serving

TOKEN = "correct-horse-battery-staple"
FRIEND = "http://localhost:5173"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that wants a token and lets one other page ask; its log is JSON."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    options = ("--workers", 1, "--allow-origin", FRIEND, "--log", "json", "--model", "standard")
    with serving(log, *options, POCKETGENRE_TOKEN=TOKEN) as running:
        yield running


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "music.example"])
def test_it_is_not_opened_to_others_without_a_token(host: str) -> None:
    with pytest.raises(PocketGenreError, match="--token"):
        Settings(host=host)
    assert not Settings(host=host, token=TOKEN).is_local


@pytest.mark.parametrize("token", ["short", "has a space in it, alas", "ümlaut-ümlaut-ümlaut"])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(PocketGenreError, match="at least 16"):
        Settings(token=token)


def test_the_command_refuses_in_one_sentence(run_command: Command) -> None:
    result = run_command("pocketgenre.server.cli", "--host", "0.0.0.0", "--port", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: At 0.0.0.0 others could reach the server")
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_named(run_command: Command, server: Serving) -> None:
    port = server.url.rpartition(":")[2]
    result = run_command("pocketgenre.server.cli", "--port", port)
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: Port {port} of 127.0.0.1 cannot be had (Address already in use); choose another"
        " --host or --port.\n"
    )


def test_the_way_to_open_it_that_help_shows_tells_the_token() -> None:
    shown = re.search(r"`(export [^`]+ --host 0\.0\.0\.0)`", serve_classifier.__doc__ or "")
    assert shown
    server = "serve-classifier() { printenv POCKETGENRE_TOKEN; }"
    command = ["bash", "-c", f"{server}\n{shown[1]}"]
    told, used = subprocess.check_output(command, text=True).split()
    assert told == used
    assert Settings(host="0.0.0.0", token=told)


@pytest.mark.parametrize(
    "header",
    [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "é"}],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/model", "/metrics", "/openapi.json", "/x"])
def test_without_the_token_there_is_no_data(guarded: Serving, path: str, header: dict) -> None:
    header = {name: value.encode() for name, value in header.items()}
    response = guarded.get(path, headers=header)
    assert response.status_code == 401
    assert response.json()["code"] == "token-needed"
    assert response.headers["www-authenticate"] == "Bearer"


def test_with_the_token_there_is(guarded: Serving, songs: Path) -> None:
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/v1/models", headers=header).status_code == 200
    assert guarded.post("/v1/classify", songs / "opus.opus").status_code == 401
    assert guarded.post("/v1/classify", songs / "opus.opus", headers=header).status_code == 200


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/healthz", "/readyz"])
def test_the_page_and_health_need_none(guarded: Serving, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::2]", "[x"])
def test_a_name_that_somebody_else_points_here_is_refused(server: Serving, host: str) -> None:
    response = server.get("/v1/models", headers={"Host": host})
    assert response.status_code == 421
    assert response.json()["code"] == "wrong-host"


def test_another_address_of_this_machine_is_good_where_it_was_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--workers", 1, "--host", "127.0.0.2") as elsewhere:
        assert elsewhere.url.startswith("http://127.0.0.2:")
        assert elsewhere.get("/v1/models").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:8000", "LOCALHOST:8000"])
def test_this_machines_names_are_good(server: Serving, host: str) -> None:
    assert server.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
def test_a_page_from_elsewhere_can_not_even_post(server: Serving, songs: Path, origin: str) -> None:
    response = server.post("/v1/classify", songs / "opus.opus", headers={"Origin": origin})
    assert response.status_code == 403
    assert response.json()["code"] == "foreign-origin"
    assert "access-control-allow-origin" not in response.headers


def test_a_page_that_is_named_may_ask(guarded: Serving) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization"
    with guarded.client() as client:
        preflight = client.options("/v1/classify", headers=asked)
        stranger = client.options("/v1/classify", headers=asked | {"Origin": "http://evil.example"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-origin" not in stranger.headers
    header = {"Origin": FRIEND, "Authorization": f"Bearer {TOKEN}"}
    answer = guarded.get("/v1/models", headers=header)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRIEND


@pytest.mark.parametrize("path", ["/", "/page/page.css", "/v1/models", "/nowhere"])
def test_nothing_is_sniffed_framed_or_loaded_from_elsewhere(server: Serving, path: str) -> None:
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
def test_what_there_is_not_is_a_problem_with_a_code(server: Serving, path: str, code: str) -> None:
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
def test_nothing_beside_the_page_is_served(server: Serving, path: str) -> None:
    answer = server.get_as_written(path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"unknown-path"' in answer


def test_a_request_keeps_its_id_if_it_is_one(guarded: Serving) -> None:
    assert guarded.get("/healthz", headers={"X-Request-ID": "a-1.b"}).headers[
        "x-request-id"
    ] == "a-1.b"  # fmt: skip
    for bad in ("a b", "x" * 65, "{}"):
        made = guarded.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", made)


def test_the_log_has_the_id_and_never_a_name_or_a_path_that_is_not_ours(
    guarded: Serving, songs: Path
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "find-me"}
    guarded.post("/v1/classify", songs / "Bells.m4a", headers=headers)
    guarded.get("/secret-path?secret-query", headers=headers)
    lines = [line for line in guarded.log.read_text().splitlines() if line.startswith("{")]
    entries = [json.loads(line) for line in lines]
    mine = [entry for entry in entries if entry.get("request") == "find-me"]
    assert [(entry["path"], entry["status"]) for entry in mine] == [
        ("/v1/classify", 200),
        ("-", 404),
    ]
    assert mine[0]["bytes"] > (songs / "Bells.m4a").stat().st_size
    for secret in ("Bells", "secret", TOKEN):
        assert secret not in guarded.log.read_text()


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined"])
def test_a_name_that_its_charset_does_not_hold_is_refused_and_not_written_down(
    server: Serving, charset: str
) -> None:
    name = b"xn--my-secret-diary-"
    part = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%s"' % name
    kind = {"Content-Type": f"multipart/form-data; boundary=edge; charset={charset}"}
    with server.client() as client:
        body = part + b"\r\n\r\nx\r\n--edge--\r\n"
        response = client.post("/v1/classify", content=body, headers=kind)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert "secret" not in response.text
    assert "secret" not in server.log.read_text()


@pytest.mark.parametrize("form", [PlainLines(), JsonLines()])
def test_a_fault_is_logged_by_its_type_and_place_without_its_text(form: logging.Formatter) -> None:
    def fault(name: str) -> None:
        try:
            int(name)
        except ValueError as error:
            raise KeyError(name) from error

    with pytest.raises(KeyError) as caught:
        fault("-".join(["my", "secret"]))  # in no line of the source, which frames show
    record = logging.LogRecord(
        "server", logging.ERROR, "", 0, "fault", None, (caught.type, caught.value, caught.tb)
    )
    line = form.format(record)
    assert "my-secret" not in line
    assert "ValueError" in line
    assert "KeyError" in line
    assert line.count("in fault") == 2


def test_metrics_count_what_happens(server: Serving, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary")
    labelled = 'pocketgenre_files_total{outcome="ok"}'
    refused = 'pocketgenre_files_total{outcome="not-audio"}'
    answered = 'pocketgenre_requests_total{method="POST",path="/v1/classify",status="200"}'
    counted = (labelled, refused, answered)
    before = [server.metric(name) for name in counted]
    server.post("/v1/classify", songs / "opus.opus", tmp_path / "diary.mp3")
    assert [server.metric(name) for name in counted] == [n + 1 for n in before]
    assert server.metric("pocketgenre_files_waiting") == 0
    assert server.metric("process_open_fds") > 0


def test_a_method_that_is_none_is_not_written_down(server: Serving) -> None:
    with server.client() as client:
        assert client.request("SECRET", "/v1/models").status_code == 405
    assert "SECRET" not in server.get("/metrics").text
    assert "SECRET" not in server.log.read_text()
