"""Pause, stop and resume scans, and use the list while a scan adds songs."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.page_driver import FolderPhone, PageServer, Phone

LISTED = "document.querySelectorAll('li[data-path]').length"


def write_copies(folder: Path, count: int, seconds: float) -> list[Path]:
    """Write songs with the same samples; a byte after them makes each file another song."""
    original = write_tone(folder / "original.wav", seconds, 16_000)
    files = [folder / "songs" / f"{number:02}.wav" for number in range(count)]
    files[0].parent.mkdir()
    for number, file in enumerate(files):
        file.write_bytes(original.read_bytes() + bytes([number]))
    return files


@pytest.fixture
def long_songs(tmp_path: Path) -> list[Path]:
    """Write twelve songs that are long enough for a test to act during one."""
    return write_copies(tmp_path, 12, 30.0)


def test_scan_pauses_resumes_and_stops(phone: Phone, tmp_path: Path) -> None:
    files = write_copies(tmp_path, 24, 3.5)
    phone.start_scan(files)
    started = time.monotonic()
    phone.wait_for_progress(4)
    three_songs_ms = 1_000 * (time.monotonic() - started)
    phone.press("Pause")
    phone.page.get_by_role("heading", name="Paused").wait_for()
    phone.page.wait_for_timeout(three_songs_ms)  # the song in progress ends
    paused_at = len(phone.songs())
    phone.page.wait_for_timeout(2 * three_songs_ms)
    assert len(phone.songs()) == paused_at < 24
    phone.press("Continue")
    phone.wait_for_progress(paused_at + 1)
    phone.press("Stop")
    phone.wait_for_text("Stopped after")
    phone.page.get_by_role("button", name="more song").click()
    phone.wait_until_done()
    assert len(phone.songs()) == 24


def test_killed_browser_resumes_scan(browser: Browser, server: PageServer, tmp_path: Path) -> None:
    files = write_copies(tmp_path, 30, 3.5)
    profile = tmp_path / "profile"
    with Phone(browser, server, profile) as phone:
        phone.start_scan(files, songs=4)
        kill_browser(profile)
    with Phone(browser, server, profile) as phone:
        before = phone.songs()
        assert 4 <= len(before) < len(files)
        phone.choose_files(files)
        phone.wait_for_text(f"Done: {len(files) - len(before)} songs labelled")
        assert len(phone.songs()) == len(files)
        assert not [song for song in phone.songs().values() if song["error"]]


def kill_browser(profile: Path) -> None:
    """Kill all processes of the browser with this profile."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(profile) in part for part in process.info["cmdline"] or ()):
            process.send_signal(signal.SIGKILL)


def test_drop_during_folder_dialog_is_ignored(
    browser: Browser, server: PageServer, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "dropped.wav", 3.5, 16_000)
    with FolderPhone(browser, server) as phone:
        for name in "abc":
            phone.write(f"Music/{name}.wav", song)
        phone.page.evaluate("() => { window.dialog = new Promise(ok => window.closeDialog = ok) }")
        phone.press("Choose a music folder")
        phone.drop([song])
        assert phone.page.workers == []
        assert phone.songs() == {}
        phone.page.evaluate("closeDialog()")
        phone.wait_for_text("Done: 3 songs")
        assert set(phone.songs()) == {"Music/a.wav", "Music/b.wav", "Music/c.wav"}
        phone.drop([song])
        phone.wait_for_text("Done: 1 song")  # the first drop did not scan it
        phone.check()


def test_cancelled_dialog_changes_nothing(browser: Browser, server: PageServer) -> None:
    with FolderPhone(browser, server, is_mobile=False, has_touch=False) as phone:
        phone.page.evaluate("() => { window.dialog = new Promise((_, no) => window.cancel = no) }")
        choose = phone.page.get_by_role("button", name="Choose a music folder")
        choose.focus()
        phone.page.keyboard.press("Enter")
        choose.wait_for(state="hidden")
        phone.page.evaluate("cancel(new DOMException('', 'AbortError'))")
        choose.wait_for()
        assert choose.evaluate("button => button === document.activeElement")
        assert phone.page.locator(".message").inner_text() == ""
        phone.check()


def test_delete_all_includes_song_in_progress(phone: Phone, long_songs: list[Path]) -> None:
    phone.start_scan(long_songs)
    phone.page.on("dialog", lambda dialog: dialog.accept())
    phone.press("Settings")
    phone.press("Delete all results")
    phone.page.get_by_role("button", name="Choose songs").wait_for()
    assert phone.page.workers == []
    assert phone.stored_songs() == []
    assert phone.listed_names() == []


def test_other_model_waits_for_song_in_progress(
    browser: Browser, server: PageServer, long_songs: list[Path]
) -> None:
    with Phone(browser, server) as phone:
        phone.page.clock.install()
        phone.page.reload()
        phone.start_scan(long_songs)
        phone.use_model("standard")
        phone.page.get_by_role("button", name="Scan 12 more songs").wait_for()
        phone.wait_for_text("The scan has stopped. Its results are saved")
        phone.page.clock.fast_forward(1_500)  # a redraw that was due before may still come
        assert phone.listed_names() == []
        assert phone.page.workers == []
        assert {song["error"] for song in phone.stored_songs()} == {None}
        phone.use_model("best")
        phone.page.locator("li[data-path]").first.wait_for()
        assert len(phone.listed_names()) == len(phone.stored_songs()) < 12
        phone.check()


FAKE_WAKE_LOCK = """
  window.locks = [];
  Object.defineProperty(navigator, "wakeLock", {value: {request: async () => {
    const lock = {released: false, release: async () => { lock.released = true }};
    locks.push(lock);
    return lock;
  }}});
"""


def test_screen_stays_on_during_scan(phone: Phone, long_songs: list[Path]) -> None:
    phone.reload_with(FAKE_WAKE_LOCK)

    def wait_for_locks(held: int) -> None:
        phone.page.wait_for_function(
            "held => locks.filter(lock => !lock.released).length === held", arg=held
        )

    phone.start_scan(long_songs)
    wait_for_locks(1)
    # A browser releases the lock of a hidden page.
    phone.page.evaluate("locks[0].released = true")
    phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for_locks(1)
    phone.press("Pause")
    wait_for_locks(0)
    phone.press("Continue")
    wait_for_locks(1)
    phone.press("Stop")
    wait_for_locks(0)


@pytest.fixture
def scanning(phone: Phone, tmp_path: Path) -> Phone:
    """Start a long scan, and wait until some songs are listed."""
    phone.choose_files(write_copies(tmp_path, 48, 20.0))
    phone.page.wait_for_function(f"() => {LISTED} >= 2")
    return phone


def wait_for_more_songs(phone: Phone) -> None:
    """Wait until the page has shown the number of further songs."""
    phone.page.wait_for_function(
        "count => parseInt(document.querySelector('.library p').textContent) >= count",
        arg=phone.page.locator("progress").evaluate("bar => Math.min(bar.value + 3, bar.max)"),
    )


def test_open_genre_choice_survives_new_songs(scanning: Phone) -> None:
    page = scanning.page
    page.locator("summary").filter(has_text="00.wav").click()
    choice = page.get_by_role("combobox", name="Genre", exact=True)
    choice.focus()
    choice.evaluate(
        """choice => {
          window.losses = 0;
          choice.addEventListener("blur", () => losses++);
          new MutationObserver(changes => {
            for (const {removedNodes} of changes)
              for (const node of removedNodes) if (node.contains(choice)) losses++;
          }).observe(document.querySelector(".library"), {childList: true, subtree: true});
        }"""
    )
    before = page.evaluate(LISTED)
    wait_for_more_songs(scanning)
    assert page.evaluate("losses") == 0
    assert choice.evaluate("choice => choice === document.activeElement")
    page.get_by_label("Search songs and artists").focus()
    page.wait_for_function(f"before => {LISTED} > before", arg=before)


def test_genre_filter_keeps_focus_during_scan(scanning: Phone) -> None:
    button = scanning.page.locator(".genres button[aria-pressed=false]").first
    button.focus()
    focused = "document.activeElement.childNodes[1]?.textContent"
    genre = scanning.page.evaluate(focused)
    assert genre
    scanning.page.set_viewport_size({"width": 360, "height": 300})
    scanning.page.evaluate("scrollTo(0, document.body.scrollHeight)")  # hides the button
    position = scanning.page.evaluate("scrollY")
    assert button.bounding_box()["y"] < 0
    wait_for_more_songs(scanning)
    assert scanning.page.evaluate(focused) == genre
    assert scanning.page.evaluate("scrollY") >= position
