"""Drive the page in tests: a server, and Chromium that emulates a small phone."""

import base64
import json
import mimetypes
import tempfile
import threading
import zipfile
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Browser, Error, Page

from tests.browser import CHROMIUM, FLAGS

PATH = "/phone/"  # not the root, as behind the project's server
SCAN_TIMEOUT_MS = 120_000
SMALL_PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "reduced_motion": "reduce",  # accessibility checks must not see a half-visible element
}


class PageServer:
    """Server of the built page on the loopback interface, with the page's headers.

    Parameters
    ----------
    folder : folder of the built page
    redirects_index : True to redirect index.html to its folder, as some hosts do
    """

    def __init__(self, folder: Path, redirects_index: bool = False) -> None:
        self.folder = folder
        self.redirects_index = redirects_index
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = self.origin + PATH

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore connections that the browser closes."""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: PageServer, *arguments: Any) -> None:
        self.page_server = server
        types = {".js": "text/javascript", ".wasm": "application/wasm",
                 ".webmanifest": "application/manifest+json"}  # fmt: skip
        self.extensions_map = {**mimetypes.types_map, **types}
        super().__init__(*arguments, directory=str(server.folder))

    def translate_path(self, path: str) -> str:
        inside = path.removeprefix(PATH) if path.startswith(PATH) else "not/here"
        return super().translate_path("/" + inside)

    def do_GET(self) -> None:
        if self.page_server.redirects_index and self.path.endswith("/index.html"):
            self.send_response(308)
            self.send_header("Location", self.path.removesuffix("index.html"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def end_headers(self) -> None:
        headers = json.loads((self.page_server.folder / "headers.json").read_text())
        for name, value in {**headers, "Cache-Control": "no-cache"}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Phone:
    """The page in a browser profile of its own, in the size of a small phone.

    Parameters
    ----------
    browser : running Chromium
    server : server of the page
    profile : folder of a profile that outlives the browser; by default a temporary one
    options : further options of the browser's context

    Attributes
    ----------
    page : the opened page
    foreign_requests : addresses outside the server that the page requested
    violations : violations of the content security policy
    errors : uncaught errors
    """

    def __init__(
        self, browser: Browser, server: PageServer, profile: Path | None = None, **options: Any
    ) -> None:
        self.server = server
        if profile:
            self.context = browser.browser_type.launch_persistent_context(
                profile, executable_path=CHROMIUM, args=FLAGS, **{**SMALL_PHONE, **options}
            )
        else:
            self.context = browser.new_context(**{**SMALL_PHONE, **options})
        self.foreign_requests: list[str] = []
        self.violations: list[str] = []
        self.errors: list[str] = []
        self.context.on("request", lambda request: self._record_request(request.url))
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e =>"
            " console.error('POLICY ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        self.page = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Error):  # a killed browser has closed its context
            self.context.close()

    def check(self) -> None:
        """Check that there was no foreign request, policy violation or uncaught error."""
        assert not self.foreign_requests
        assert not self.violations
        assert not self.errors

    def _open(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._record_message(message.text))
        page.goto(self.server.url)
        return page

    def _record_request(self, url: str) -> None:
        if not url.startswith((self.server.origin, "blob:" + self.server.origin, "data:")):
            self.foreign_requests.append(url)

    def _record_message(self, text: str) -> None:
        if "POLICY" in text or "Content Security Policy" in text:
            self.violations.append(text)

    def reload_with(self, script: str) -> None:
        """Reload the page with a script that runs before the page's own."""
        self.context.add_init_script(script)
        self.page.reload()

    def press(self, name: str, exact: bool = False) -> None:
        """Click a button."""
        self.page.get_by_role("button", name=name, exact=exact).click()

    def wait_for_text(self, text: str) -> None:
        self.page.get_by_text(text).wait_for()

    def wait_until_started(self) -> None:
        """Wait until the page shows its stored songs."""
        self.page.locator("#app:not([aria-busy])").wait_for(state="attached")

    def wait_until_offline_ready(self) -> None:
        self.wait_for_text("Ready for offline use")

    def use_model(self, name: str) -> None:
        """Select a model in the settings."""
        self.press("Settings")
        self.page.get_by_label("Model").select_option(name)
        self.press("Done")

    def choose_files(self, files: list[Path]) -> None:
        self._choose("Choose songs", files)

    def choose_folder(self, folder: Path) -> None:
        """Choose a folder with <input webkitdirectory>, where there is no folder picker."""
        self._choose("Choose a music folder", folder)

    def show_sources(self) -> None:
        """Show the buttons that select songs, which are closed above a library."""
        self.wait_until_started()
        if not self.page.get_by_role("button", name="Choose songs").is_visible():
            self.page.get_by_text("Add music").click()

    def _choose(self, button: str, files: list[Path] | Path) -> None:
        self.show_sources()
        with self.page.expect_file_chooser() as chooser:
            self.press(button)
        chooser.value.set_files(files)

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
            {file.name: _base64(file) for file in files},
        )

    def scan(self, files: list[Path]) -> None:
        """Choose files and wait until they are scanned."""
        self.choose_files(files)
        self.wait_until_done()

    def start_scan(self, files: list[Path], songs: int = 1) -> None:
        """Choose files and wait until some of them are scanned."""
        self.choose_files(files)
        self.wait_for_progress(songs)

    def wait_for_progress(self, songs: int) -> None:
        self.page.wait_for_function(
            "songs => document.querySelector('progress').value >= songs", arg=songs
        )

    def wait_until_done(self) -> None:
        self.page.get_by_text("Done: ").wait_for(timeout=SCAN_TIMEOUT_MS)

    def exported(self) -> list[dict[str, Any]]:
        """Return the songs of the JSON export."""
        return json.loads(self.save("Data (JSON)").read_text(encoding="utf-8"))

    def save(self, button: str) -> Path:
        """Click a button that saves a file, and return the file."""
        self.wait_until_started()
        if not self.page.get_by_role("button", name=button, exact=True).is_visible():
            self.page.get_by_text("Save or share").click()
        with self.page.expect_download() as download:
            self.press(button, exact=True)
        file = Path(tempfile.mkdtemp()) / download.value.suggested_filename
        download.value.save_as(file)
        return file

    def playlists(self) -> dict[str, str]:
        """Save the playlists as a zip file, and return their contents by file name."""
        with zipfile.ZipFile(self.save("Playlists (M3U8)")) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}

    def songs(self) -> dict[str, dict[str, Any]]:
        """Return the stored songs by path."""
        return {song["path"]: song for song in self.stored_songs()}

    def stored_songs(self) -> list[dict[str, Any]]:
        """Return the songs in the page's database, one per song and model."""
        return self.in_database(
            """async db => {
              const get = db.transaction("songs").objectStore("songs").getAll();
              const songs = await new Promise(ok => get.onsuccess = () => ok(get.result));
              return songs.map(song =>
                ({...song, probabilities: song.probabilities && [...song.probabilities]}));
            }"""
        )

    def in_database(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function with the page's open database and an argument."""
        return self.page.evaluate(
            f"""async argument => {{
              const open = indexedDB.open("pocketgenre");
              const db = await new Promise(ok => open.onsuccess = () => ok(open.result));
              try {{ return await ({function})(db, argument); }} finally {{ db.close(); }}
            }}""",
            argument,
        )

    def correct(self, name: str, genre: str) -> None:
        """Set a song's genre in its details."""
        song = self.page.locator("li[data-path]").filter(has_text=name)
        if not song.get_by_role("combobox", name="Genre", exact=True).is_visible():
            song.locator("summary").click()
        song.get_by_role("combobox", name="Genre", exact=True).select_option(genre)

    def listed_names(self) -> list[str]:
        """Return the names in the page's list, in order."""
        return [name for names in self.names_by_group().values() for name in names]

    def names_by_group(self) -> dict[str, list[str]]:
        """Return the names in the page's list by genre."""
        return self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll("section[data-group]")].map(
              group => [group.ariaLabel,
                        [...group.querySelectorAll(".name")].map(name => name.textContent)]
            ))"""
        )


class FolderPhone(Phone):
    """A phone whose folder dialog returns folders of the browser's private file system.

    A test cannot operate the browser's own dialog.
    """

    def __init__(self, browser: Browser, server: PageServer, **options: Any) -> None:
        super().__init__(browser, server, **options)
        self.reload_with(
            """window.showDirectoryPicker = async () => {
              await window.dialog;  // a promise that a test sets to keep the dialog open
              let folder = await navigator.storage.getDirectory();
              for (const name of (window.chosenFolder ?? "Music").split("/"))
                folder = await folder.getDirectoryHandle(name, {create: true});
              return folder;
            }"""
        )

    def write(self, path: str, file: Path) -> None:
        """Copy a file to a path in the private file system."""
        self.page.evaluate(
            """async ([path, bytes]) => {
              let folder = await navigator.storage.getDirectory();
              const names = path.split("/");
              for (const name of names.slice(0, -1))
                folder = await folder.getDirectoryHandle(name, {create: true});
              const file = await folder.getFileHandle(names.at(-1), {create: true});
              const out = await file.createWritable();
              await out.write(Uint8Array.from(atob(bytes), c => c.charCodeAt()));
              await out.close();
            }""",
            [path, _base64(file)],
        )

    def read(self, path: str) -> str:
        """Return the text of a file in the private file system."""
        return self.page.evaluate(
            """async path => {
              let folder = await navigator.storage.getDirectory();
              const names = path.split("/");
              for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
              return (await (await folder.getFileHandle(names.at(-1))).getFile()).text();
            }""",
            path,
        )

    def remove(self, path: str) -> None:
        """Remove a file from the private file system."""
        self.page.evaluate(
            """async path => {
              let folder = await navigator.storage.getDirectory();
              const names = path.split("/");
              for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
              await folder.removeEntry(names.at(-1));
            }""",
            path,
        )

    def open_folder(self, folder: str = "Music") -> None:
        """Choose a folder of the private file system in the dialog."""
        self.page.evaluate("folder => { window.chosenFolder = folder }", folder)
        self.show_sources()
        self.press("Choose a music folder")


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
