"""One scan at a time, and nothing of it left where it was to be gone."""

from pathlib import Path

import pytest

from tests.conftest import write_tone
from tests.web.folders import give_folders, put
from tests.web.phone import Phone, Site
from tests.web.test_page import use_model


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Twelve songs, each long enough to be caught in hand."""
    return [write_tone(tmp_path / f"{n:02}.wav", 60.0, 16_000) for n in range(12)]


def start(phone: Phone, songs: list[Path]) -> None:
    """Begin a scan, and wait until it is in the middle."""
    phone.choose_files(songs)
    phone.page.wait_for_function("() => document.querySelector('progress').value >= 1")


def test_what_is_dropped_while_a_folder_is_chosen_is_not_heard_beside_it(
    browser, site: Site, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "dropped.wav", 3.5, 16_000)
    with Phone(browser, site) as phone:
        give_folders(phone)
        for name in "abc":
            put(phone, f"Music/{name}.wav", song)
        phone.page.evaluate("() => { window.dialog = new Promise(ok => window.answer = ok) }")
        phone.page.get_by_role("button", name="Choose a music folder").click()
        phone.drop([song])
        phone.page.wait_for_timeout(1_500)  # as long as it would take
        assert phone.songs() == {}
        phone.page.evaluate("answer()")
        phone.page.get_by_text("Done: 3 songs").wait_for()
        assert set(phone.songs()) == {"Music/a.wav", "Music/b.wav", "Music/c.wav"}
        phone.drop([song])  # and now it may
        phone.page.get_by_text("Done: 1 song").wait_for()
        phone.check()


def test_a_dialog_that_is_left_leaves_all_as_it_was(browser, site: Site) -> None:
    with Phone(browser, site, is_mobile=False, has_touch=False) as phone:
        give_folders(phone)
        phone.page.evaluate("() => { window.dialog = new Promise((_, no) => window.leave = no) }")
        choose = phone.page.get_by_role("button", name="Choose a music folder")
        choose.focus()
        phone.page.keyboard.press("Enter")
        choose.wait_for(state="hidden")
        phone.page.evaluate("leave(new DOMException('', 'AbortError'))")
        choose.wait_for()
        assert choose.evaluate("button => button === document.activeElement")
        assert phone.page.locator(".message").inner_text() == ""
        phone.check()


def test_forgetting_everything_forgets_the_song_in_hand_too(
    phone: Phone, songs: list[Path]
) -> None:
    start(phone, songs)
    phone.page.on("dialog", lambda dialog: dialog.accept())
    phone.page.get_by_role("button", name="Settings").click()
    phone.page.get_by_role("button", name="Forget everything").click()
    phone.page.get_by_role("button", name="Choose songs").wait_for()
    phone.page.wait_for_timeout(500)
    assert phone.stored_songs() == []
    assert phone.songs_listed() == []


def test_another_network_waits_for_the_song_in_hand_and_lists_its_own(
    phone: Phone, songs: list[Path]
) -> None:
    start(phone, songs)
    use_model(phone, "standard")
    phone.page.get_by_role("button", name="Listen to the 12 songs").wait_for()
    phone.page.wait_for_timeout(1_500)  # as long as the list may take
    assert phone.songs_listed() == []
    assert phone.page.workers == []
    assert {song["error"] for song in phone.stored_songs()} == {None}
    use_model(phone, "best")
    phone.page.locator("li[data-path]").first.wait_for()
    assert len(phone.songs_listed()) == len(phone.stored_songs()) < 12


FAKE_LOCK = """
  window.locks = [];
  Object.defineProperty(navigator, "wakeLock", {value: {request: async () => {
    const lock = {released: false, release: async () => { lock.released = true }};
    locks.push(lock);
    return lock;
  }}});
"""


def test_the_screen_stays_on_while_songs_are_heard_and_no_longer(
    browser, site: Site, songs: list[Path]
) -> None:
    with Phone(browser, site) as phone:
        phone.context.add_init_script(FAKE_LOCK)
        phone.page.reload()

        def wait_for(held: int) -> None:
            phone.page.wait_for_function(
                "held => locks.filter(lock => !lock.released).length === held", arg=held
            )

        def press(name: str) -> None:
            phone.page.get_by_role("button", name=name).click()

        start(phone, songs)
        wait_for(1)
        # A browser lets go of it when the page goes out of sight.
        phone.page.evaluate("locks[0].released = true")
        phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        wait_for(1)
        press("Pause")
        wait_for(0)
        press("Go on")
        wait_for(1)
        press("Stop")
        wait_for(0)
        phone.check()
