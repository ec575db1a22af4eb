"""The phone page is served beside the endpoint, as the page asks to be."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import Serving, serving

POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "headers.json").write_text(json.dumps({"Content-Security-Policy": POLICY}))
    (folder / "index.html").write_text("<!doctype html><title>pocketgenre</title>")
    (folder / "sw.js").write_text("// the service worker")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "assets" / "best-0a1b.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    return folder


@pytest.fixture(scope="module")
def server(page: Path) -> Iterator[Serving]:
    with serving(page / "log", "--workers", 1, "--phone", page, "--token", "x" * 32) as running:
        yield running


def test_it_needs_no_token_since_it_sends_nothing(server: Serving) -> None:
    assert server.get("/phone/").text.endswith("<title>pocketgenre</title>")
    assert server.get("/v1/models").status_code == 401


def test_it_has_the_headers_that_it_was_built_with(server: Serving) -> None:
    answer = server.get("/phone/")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "wasm-unsafe-eval" not in server.get("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "kind", "kept"),
    [
        ("", "text/html; charset=utf-8", "no-cache"),
        ("sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("assets/best-0a1b.tflite", "application/octet-stream", "max-age=31536000, immutable"),
        ("assets/gone.js", "application/problem+json", "no-store"),
    ],
)
def test_a_file_is_of_its_kind_and_kept_as_long_as_it_holds(
    server: Serving, path: str, kind: str, kept: str
) -> None:
    headers = server.get(f"/phone/{path}").headers
    assert headers["content-type"] == kind
    assert headers["cache-control"] == kept


def test_a_file_comes_unchanged(server: Serving, page: Path) -> None:
    name = "assets/best-0a1b.tflite"
    assert server.get(f"/phone/{name}").content == (page / name).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/phone/../secret",
        "/phone/assets/../../secret",
        "/phone//../secret",
        "/phone/%2e%2e/secret",
        "/phone/..%2fsecret",
        "/phone/link",
    ],
)
def test_nothing_outside_of_it_is_served(server: Serving, page: Path, path: str) -> None:
    (page.parent / "secret").write_text("kept to itself")
    if not (page / "link").is_symlink():
        (page / "link").symlink_to(page.parent / "secret")
    answer = server.get_as_written(path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"kept to itself" not in answer


def test_where_none_was_built_that_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="holds no phone page; make phone builds it"),
        serving(tmp_path / "log", "--phone", tmp_path),
    ):
        pass
