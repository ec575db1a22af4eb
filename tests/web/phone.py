"""A phone to test with: Chromium that emulates one, and a server as the page asks for one."""

import base64
import json
import mimetypes
import tempfile
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Browser, Download, Error, Page

from tests.browser import CHROMIUM, FLAGS

PATH = "/phone/"  # a path of its own, as behind the project's server
SCAN_MS = 120_000
SMALL = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "reduced_motion": "reduce",  # nothing is half faded in when it is looked at
}


class Site:
    """The built page on loopback, with the headers that it wants, and all that was asked for.

    A tidy one redirects index.html to its folder, as some hosts do.
    """

    def __init__(self, folder: Path, tidy: bool = False) -> None:
        self.folder = folder
        self.tidy = tidy
        self.asked: list[str] = []
        handler = partial(_Handler, self)
        self._server = _Server(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = self.origin + PATH

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A browser that closes a connection is no news."""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *arguments: Any) -> None:
        self.site = site
        types = {".js": "text/javascript", ".wasm": "application/wasm",
                 ".webmanifest": "application/manifest+json"}  # fmt: skip
        self.extensions_map = {**mimetypes.types_map, **types}
        super().__init__(*arguments, directory=str(site.folder))

    def translate_path(self, path: str) -> str:
        self.site.asked.append(path)
        inside = path.removeprefix(PATH) if path.startswith(PATH) else "not/here"
        return super().translate_path("/" + inside)

    def do_GET(self) -> None:
        if self.site.tidy and self.path.endswith("/index.html"):
            self.send_response(308)
            self.send_header("Location", self.path.removesuffix("index.html"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def end_headers(self) -> None:
        headers = json.loads((self.site.folder / "headers.json").read_text())
        for name, value in {**headers, "Cache-Control": "no-cache"}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


def as_text(file: Path) -> str:
    """A file's content as a page can be given it."""
    return base64.b64encode(file.read_bytes()).decode()


class Phone:
    """A browser's profile of its own, the size of a small phone.

    Attributes
    ----------
    page : the page, opened
    strangers : requests to anyone but the site
    violations : of the content security policy
    errors : that no code caught
    """

    def __init__(
        self, browser: Browser, site: Site, profile: Path | None = None, **options: Any
    ) -> None:
        self.site = site
        if profile:  # one that outlives the browser
            self.context = browser.browser_type.launch_persistent_context(
                profile, executable_path=CHROMIUM, args=FLAGS, **{**SMALL, **options}
            )
        else:
            self.context = browser.new_context(**{**SMALL, **options})
        self.strangers: list[str] = []
        self.violations: list[str] = []
        self.errors: list[str] = []
        self.context.on("request", lambda request: self._note(request.url))
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e =>"
            " console.error('POLICY ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        self.page = self.open()

    def open(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._read(message.text))
        page.goto(self.site.url)
        return page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Error):  # a browser that was killed has closed it
            self.context.close()

    def check(self) -> None:
        """Nobody else was asked for anything, no rule was broken, no error got lost."""
        assert not self.strangers
        assert not self.violations
        assert not self.errors

    def _note(self, url: str) -> None:
        if not url.startswith((self.site.origin, "blob:" + self.site.origin, "data:")):
            self.strangers.append(url)

    def _read(self, text: str) -> None:
        if "POLICY" in text or "Content Security Policy" in text:
            self.violations.append(text)

    def offline_ready(self) -> None:
        self.page.get_by_text("Ready for flight mode").wait_for()

    def choose_files(self, files: list[Path]) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Choose songs").click()
        chooser.value.set_files(files)

    def choose_folder(self, folder: Path) -> None:
        """Where no folder picker is, a folder goes in by <input webkitdirectory>."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Choose a music folder").click()
        chooser.value.set_files(folder)

    def drop(self, files: list[Path]) -> None:
        """Drop files onto the page."""
        self.page.evaluate(
            """files => {
              const dragged = new DataTransfer();
              for (const [name, bytes] of Object.entries(files))
                dragged.items.add(
                  new File([Uint8Array.from(atob(bytes), c => c.charCodeAt())], name));
              for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(
                  new DragEvent(kind, {dataTransfer: dragged, bubbles: true, cancelable: true}));
            }""",
            {file.name: as_text(file) for file in files},
        )

    def finish(self, timeout: float = SCAN_MS) -> None:
        self.page.get_by_text("Done: ").wait_for(timeout=timeout)

    def exported(self) -> list[dict[str, Any]]:
        """What the page saves as JSON."""
        return json.loads(self.save("Data (JSON)")[0].read_text(encoding="utf-8"))

    def save(self, what: str, files: int = 1) -> list[Path]:
        """Press one of the buttons that save, and wait for so many files, named as saved."""
        downloads: list[Download] = []

        def note(download: Download) -> None:
            downloads.append(download)

        self.page.on("download", note)
        if not self.page.get_by_role("button", name=what, exact=True).is_visible():
            self.page.get_by_text("Save or share").click()
        self.page.get_by_role("button", name=what, exact=True).click()
        while len(downloads) < files:
            self.page.wait_for_timeout(50)
        self.page.remove_listener("download", note)
        folder = Path(tempfile.mkdtemp())
        for download in downloads:
            download.save_as(folder / download.suggested_filename)
        return sorted(folder.iterdir())

    def songs(self) -> dict[str, dict[str, Any]]:
        """What the page's database holds, by path; probabilities a list."""
        return {song["path"]: song for song in self.stored_songs()}

    def stored_songs(self) -> list[dict[str, Any]]:
        """The same, a song for each model that heard it."""
        return self.page.evaluate(
            """async () => {
              const open = indexedDB.open("pocketgenre");
              const db = await new Promise(ok => open.onsuccess = () => ok(open.result));
              const get = db.transaction("songs").objectStore("songs").getAll();
              const songs = await new Promise(ok => get.onsuccess = () => ok(get.result));
              db.close();
              return songs.map(song =>
                ({...song, probabilities: song.probabilities && [...song.probabilities]}));
            }"""
        )

    def songs_listed(self) -> list[str]:
        """Names on the page, in order."""
        return [name for names in self.songs_by_genre().values() for name in names]

    def songs_by_genre(self) -> dict[str, list[str]]:
        """Names on the page by the group that they stand in."""
        return self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll("section[data-group]")].map(
              group => [group.ariaLabel,
                        [...group.querySelectorAll(".name")].map(name => name.textContent)]
            ))"""
        )
