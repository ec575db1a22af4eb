"""The built phone page is served with its own headers."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.pages import PhonePage
from pocketgenre.server.settings import Settings
from tests.server.servers import Server, build_app, serve_in_thread

POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"


RUNTIME = b"\0asm" * 5_000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "headers.json").write_text(json.dumps({"Content-Security-Policy": POLICY}))
    (folder / "index.html").write_text("<!doctype html><title>pocketgenre</title>")
    (folder / "sw.js").write_text("// the service worker")
    (folder / "manifest.webmanifest").write_text("{}")
    (folder / "assets" / "best-0a1b.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    (folder / "assets" / "runtime-2c.wasm").write_bytes(RUNTIME)
    (folder / "assets" / "runtime-2c.wasm.gz").write_bytes(gzip.compress(RUNTIME))
    return folder


@pytest.fixture(scope="module")
def server(pool: WorkerPool, page: Path) -> Iterator[Server]:
    settings = Settings(workers=2, phone=page, token="x" * 32)
    with serve_in_thread(build_app(pool, settings), page / "log") as running:
        yield running


def test_page_needs_no_token(server: Server) -> None:
    assert server.get("/phone/").text.endswith("<title>pocketgenre</title>")
    assert server.get("/v1/models").status_code == 401


def test_page_has_headers_of_its_build(server: Server) -> None:
    response = server.get("/phone/")
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "wasm-unsafe-eval" not in server.get("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "media_type", "caching"),
    [
        ("", "text/html; charset=utf-8", "no-cache"),
        ("sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("assets/best-0a1b.tflite", "application/octet-stream", "max-age=31536000, immutable"),
        ("assets/gone.js", "application/problem+json", "no-store"),
    ],
)
def test_file_has_media_type_and_caching(
    server: Server, path: str, media_type: str, caching: str
) -> None:
    headers = server.get(f"/phone/{path}").headers
    assert headers["content-type"] == media_type
    assert headers["cache-control"] == caching


def test_file_is_unchanged(server: Server, page: Path) -> None:
    name = "assets/best-0a1b.tflite"
    assert server.get(f"/phone/{name}").content == (page / name).read_bytes()


@pytest.mark.parametrize("accepted", ["gzip, deflate, br", "identity"])
def test_runtime_is_compressed_if_accepted(server: Server, accepted: str) -> None:
    response = server.get("/phone/assets/runtime-2c.wasm", headers={"Accept-Encoding": accepted})
    assert response.content == RUNTIME
    assert response.headers["content-type"] == "application/wasm"
    assert response.headers.get("content-encoding") == ("gzip" if "gzip" in accepted else None)
    size = int(response.headers["content-length"])
    assert size < 200 if "gzip" in accepted else size == len(RUNTIME)


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
def test_files_outside_page_are_not_served(server: Server, page: Path, path: str) -> None:
    (page.parent / "secret").write_text("outside the page")
    if not (page / "link").is_symlink():
        (page / "link").symlink_to(page.parent / "secret")
    response = server.get_raw(path)
    assert response.startswith(b"HTTP/1.1 404 ")
    assert b"outside the page" not in response


def test_missing_page_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PocketGenreError, match=r"no phone page in .*; build it with make phone"):
        PhonePage(tmp_path)
