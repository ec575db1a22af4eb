"""Open the page by a link to a song or a genre, and by the share sheet of the phone."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import write_tone
from tests.web.page_driver import FolderPhone, PageServer, Phone

MANY = 100
"""Number of songs of which the page draws only some at once."""

CANCELS = """
window.showDirectoryPicker = async options => {
  window.options = options;
  throw new DOMException("", "AbortError");
};
"""
STORE_COPIES = """async (db, count) => {
  const songs = db.transaction("songs", "readwrite").objectStore("songs");
  const get = songs.getAll();
  const [song] = await new Promise(ok => get.onsuccess = () => ok(get.result));
  for (let n = 0; n < count; n++) songs.put({...song, path: `Music/${n} & +.wav`});
  await new Promise(ok => songs.transaction.oncomplete = ok);
}"""


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "a.wav")


def scan_as_jazz(phone: Phone, song: Path) -> None:
    phone.scan([song])
    phone.correct("a.wav", "jazz")
    phone.page.get_by_role("region", name="jazz").get_by_text("a.wav").wait_for()


def test_link_shows_genre(phone: Phone, song: Path) -> None:
    scan_as_jazz(phone, song)
    phone.page.goto(phone.server.url + "#genre=jazz")
    phone.page.locator("button[aria-pressed=true]", has_text="jazz").wait_for()
    phone.page.reload()
    phone.page.locator("button[aria-pressed=true]", has_text="jazz").wait_for()
    phone.page.locator("ul.genres").get_by_role("button", name="jazz").click()
    assert phone.page.url == phone.server.url


def test_chosen_genre_is_in_address(phone: Phone, song: Path) -> None:
    scan_as_jazz(phone, song)
    phone.page.locator("ul.genres").get_by_role("button", name="jazz").click()
    assert phone.page.url == phone.server.url + "#genre=jazz"


def test_link_opens_song_far_below(phone: Phone, song: Path) -> None:
    phone.scan([song])
    phone.in_database(STORE_COPIES, MANY)
    path = f"Music/{MANY - 1} & +.wav"
    phone.page.goto(f"{phone.server.url}#song={quote(path, safe='')}")
    phone.page.reload()
    opened = phone.page.locator("li[data-path]", has=phone.page.locator("details[open]"))
    opened.wait_for()
    assert opened.get_attribute("data-path") == path
    assert opened.evaluate(
        "item => { const {top, bottom} = item.getBoundingClientRect();"
        " return top < innerHeight && bottom > 0; }"
    )


def test_opened_song_is_in_address(phone: Phone, song: Path) -> None:
    phone.scan([song])
    phone.page.locator("summary", has_text="a.wav").click()
    assert phone.page.url == phone.server.url + "#song=a.wav"
    phone.page.locator("summary", has_text="a.wav").click()
    assert phone.page.url == phone.server.url


def test_link_to_missing_song_says_so(phone: Phone) -> None:
    phone.page.goto(phone.server.url + "#song=b.wav")
    phone.wait_for_text("b.wav is not in your library.")


def share(phone: Phone, files: list[Path]) -> Page:
    """Send files to the page as the share sheet does, and return the page that opens."""
    sheet = phone.context.new_page()
    sheet.set_content(
        f"<form method=post enctype=multipart/form-data action='{phone.server.url}share'>"
        "<input type=file name=songs multiple><button>Share</button></form>"
    )
    sheet.locator("input").set_input_files(files)
    sheet.get_by_role("button", name="Share").click()
    return sheet


def test_shared_songs_are_scanned(phone: Phone, album: list[Path]) -> None:
    phone.wait_until_offline_ready()
    opened = share(phone, album)
    opened.get_by_text("Done: 4 songs labelled").wait_for()
    assert opened.url == phone.server.url
    assert set(phone.songs()) == {file.name for file in album}


def test_shared_songs_are_taken_once(phone: Phone, song: Path) -> None:
    phone.wait_until_offline_ready()
    share(phone, [song]).get_by_text("Done: 1 song labelled").wait_for()
    phone.page.goto(phone.server.url + "#shared")
    phone.page.reload()
    phone.wait_for_text("The shared songs did not arrive.")


def test_manifest_accepts_shared_songs(built: Path) -> None:
    target = json.loads((built / "manifest.webmanifest").read_text())["share_target"]
    assert (target["action"], target["method"]) == ("./share", "POST")
    (songs,) = target["params"]["files"]
    assert {"audio/*", ".mp3", ".opus"} <= set(songs["accept"])


def test_folder_dialog_starts_in_music(browser: Browser, server: PageServer) -> None:
    with FolderPhone(browser, server) as phone:
        phone.reload_with(CANCELS)
        phone.press("Choose a music folder")
        phone.page.wait_for_function("window.options")
        assert phone.page.evaluate("window.options.startIn") == "music"
        phone.check()


@pytest.mark.parametrize(("standalone", "hints"), [("false", 1), ("true", 0)])
def test_ios_browser_explains_installation(phone: Phone, standalone: str, hints: int) -> None:
    phone.reload_with(f"navigator.standalone = {standalone}")
    phone.wait_until_offline_ready()
    assert phone.page.get_by_text("choose Share, then Add to Home Screen").count() == hints
