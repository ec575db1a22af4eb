"""Save playlists into the music folder, and share only what the browser shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.page_driver import FolderPhone, PageServer

REFUSES = "FileSystemHandle.prototype.requestPermission = async () => 'denied'"
SHARES = """
window.shared = [];
navigator.canShare = ({files}) => files.every(file => file.type !== "application/json");
navigator.share = async ({files}) => { shared.push(...files.map(file => file.name)); };
"""
REFUSES_TO_SHARE = """
navigator.canShare = () => true;
navigator.share = async () => { throw new DOMException("Permission denied", "NotAllowedError"); };
"""


@pytest.fixture
def phone(browser: Browser, server: PageServer, tmp_path: Path) -> Iterator[FolderPhone]:
    """Scan a folder with two songs, and set the genres jazz and metal."""
    with FolderPhone(browser, server) as opened:
        opened.use_model("standard")
        for name, seconds in (("a", 3.5), ("b", 4.0)):
            opened.write(f"Music/{name}.wav", write_tone(tmp_path / f"{name}.wav", seconds))
        opened.open_folder()
        opened.wait_until_done()
        for name, genre in (("a", "jazz"), ("b", "metal")):
            opened.correct(f"{name}.wav", genre)
            opened.page.get_by_role("region", name=genre).get_by_text(f"{name}.wav").wait_for()
        yield opened
        opened.check()


def save_playlists(phone: FolderPhone) -> None:
    phone.page.get_by_text("Save or share").click()
    phone.press("Playlists (M3U8)", exact=True)


def entries(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if not line.startswith("#")]


def test_playlists_are_written_into_music_folder(phone: FolderPhone) -> None:
    save_playlists(phone)
    phone.wait_for_text("2 playlists saved in “Music”.")
    assert entries(phone.read("Music/jazz.m3u8")) == ["a.wav"]
    assert entries(phone.read("Music/metal.m3u8")) == ["b.wav"]
    phone.correct("a.wav", "metal")
    phone.page.get_by_role("region", name="jazz").wait_for(state="detached")
    phone.press("Playlists (M3U8)", exact=True)
    phone.wait_for_text("1 playlist saved in “Music”.")
    assert entries(phone.read("Music/metal.m3u8")) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("edit", ["#EXTM3U\na.wav\n", "{}a.wav\n", "\ufeff{}", ""])
def test_playlist_of_user_stays(phone: FolderPhone, tmp_path: Path, edit: str) -> None:
    file = tmp_path / "jazz.m3u8"
    file.write_text(edit.format(phone_playlist(phone)), encoding="utf-8")
    phone.write("Music/jazz.m3u8", file)
    phone.press("Playlists (M3U8)", exact=True)
    phone.wait_for_text("Not replaced, because this page did not write them: jazz.m3u8.")
    expected = file.read_bytes()
    read = phone.page.evaluate(
        """async () => {
          const root = await navigator.storage.getDirectory();
          const folder = await root.getDirectoryHandle("Music");
          const file = await (await folder.getFileHandle("jazz.m3u8")).getFile();
          return [...new Uint8Array(await file.arrayBuffer())];
        }"""
    )
    assert bytes(read) == expected


def phone_playlist(phone: FolderPhone) -> str:
    """Return a playlist that the page has written."""
    save_playlists(phone)
    phone.wait_for_text("2 playlists saved in “Music”.")
    return phone.read("Music/jazz.m3u8")


def test_refused_permission_saves_zip(phone: FolderPhone) -> None:
    phone.reload_with(REFUSES)
    playlists = phone.playlists()
    assert {name: entries(text) for name, text in playlists.items()} == {
        "jazz.m3u8": ["a.wav"],
        "metal.m3u8": ["b.wav"],
    }
    phone.wait_for_text("“Music” cannot be written to: permission was refused.")


def test_browser_without_sharing_says_so(phone: FolderPhone) -> None:
    phone.reload_with("navigator.canShare = undefined")
    phone.page.get_by_text("Save or share").click()
    phone.wait_for_text("This browser cannot share files.")
    assert phone.page.get_by_role("button", name="Share…").count() == 0


def test_shareable_formats_are_shared(phone: FolderPhone) -> None:
    phone.reload_with(SHARES)
    phone.page.get_by_text("Save or share").click()
    phone.wait_for_text("This browser cannot share: Data (JSON).")
    for n, name in enumerate(("Playlists (M3U8)", "Picture (PNG)", "Table (CSV)")):
        phone.press(f"Share… {name}")
        phone.page.wait_for_function("n => shared.length > n", arg=n)
    assert phone.page.evaluate("shared") == ["playlists.zip", "genres.png", "genres.csv"]


def test_file_refused_by_share_sheet_is_saved(phone: FolderPhone) -> None:
    phone.reload_with(REFUSES_TO_SHARE)
    phone.page.get_by_text("Save or share").click()
    with phone.page.expect_download() as download:
        phone.press("Share… Data (JSON)")
    assert download.value.suggested_filename == "genres.json"
    phone.wait_for_text("The browser refused to share genres.json, so it was saved.")
