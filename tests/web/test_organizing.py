"""Search, correct and remove songs, in one tab or in two."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pocketgenre.library.file_hash import hash_file
from tests.conftest import write_tone
from tests.web.page_driver import FolderPhone, PageServer, Phone

KEYBOARD_PX = 340
"""Height of the keyboard on a phone that is 740 px high."""


@pytest.fixture
def phone(browser: Browser, server: PageServer) -> Iterator[FolderPhone]:
    with FolderPhone(browser, server) as opened:
        yield opened
        opened.check()


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Write four songs of different lengths."""
    return [write_tone(tmp_path / f"{name}.wav", 3.5 + n) for n, name in enumerate("abcd")]


def choose_genre(phone: Phone, names: str, genre: str) -> None:
    for name in names:
        phone.correct(f"{name}.wav", genre)
        phone.page.get_by_role("region", name=genre).get_by_text(f"{name}.wav").wait_for()


def test_first_hit_of_search_is_above_keyboard(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    phone.scan(songs)
    search = phone.page.get_by_label("Search songs and artists")
    search.click()
    search.fill("c")
    phone.wait_for_text("1 song found")
    hit = phone.page.locator("li[data-path]").bounding_box()
    assert hit["y"] + 40 < phone.page.viewport_size["height"] - KEYBOARD_PX


def test_counts_are_of_songs_found(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    phone.scan(songs)
    choose_genre(phone, "abc", "jazz")
    phone.page.get_by_label("Search songs and artists").fill("b.wav")
    phone.wait_for_text("1 song found")
    filters = phone.page.get_by_role("list", name="Show one genre").get_by_role("button")
    assert filters.all_inner_texts() == ["all\n1", "jazz\n1"]
    assert phone.page.get_by_role("heading", name="jazz").inner_text().split() == ["jazz", "1"]


def test_songs_are_on_first_screen(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    phone.scan(songs)
    song = phone.page.locator("li[data-path]").first.bounding_box()
    assert song["y"] + song["height"] < phone.page.viewport_size["height"]


def test_correction_follows_moved_song(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    for song in songs[:3]:
        phone.write(f"Music/{song.name}", song)
    phone.open_folder()
    phone.wait_until_done()
    choose_genre(phone, "b", "metal")
    assert phone.songs()["Music/b.wav"]["hash"] == hash_file(songs[1]).hex()
    phone.remove("Music/b.wav")
    phone.write("Music/sorted/renamed.wav", songs[1])
    phone.write("Music/b.wav", songs[3])  # another song takes its path
    phone.open_folder()
    phone.wait_for_text("Done: 2 songs labelled")
    assert phone.names_by_group()["metal"] == ["renamed.wav"]


def test_correction_and_removal_are_undone(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    phone.scan(songs[:2])
    before = phone.names_by_group()
    choose_genre(phone, "a", "metal")
    phone.press("Undo")
    phone.page.get_by_role("region", name="metal").wait_for(state="detached")
    assert phone.names_by_group() == before
    phone.page.get_by_role("button", name="Remove from the list").first.click()
    phone.wait_for_text("is no longer in the list")
    assert len(phone.listed_names()) == len(phone.songs()) == 1
    phone.press("Undo")
    phone.page.wait_for_function("() => document.querySelectorAll('li[data-path]').length === 2")
    assert phone.names_by_group() == before


def test_one_folder_is_removed(phone: FolderPhone, songs: list[Path]) -> None:
    phone.use_model("standard")
    for folder, song in zip(("Music", "Talks"), songs[:2], strict=True):
        phone.write(f"{folder}/{song.name}", song)
        phone.open_folder(folder)
        phone.wait_until_done()
    choose_genre(phone, "a", "metal")
    phone.page.once("dialog", lambda dialog: dialog.accept())
    phone.show_sources()
    phone.press("Remove the folder “Music”")
    phone.page.get_by_role("button", name="Continue with “Music”").wait_for(state="detached")
    assert set(phone.songs()) == {"Talks/b.wav"}
    phone.open_folder("Music")
    phone.wait_until_done()
    assert phone.names_by_group()["metal"] == ["a.wav"]


def test_two_tabs_share_results_and_one_scan(phone: FolderPhone, tmp_path: Path) -> None:
    files = [write_tone(tmp_path / f"{n:02}.wav", 20.0 + n, 16_000) for n in range(24)]
    phone.use_model("standard")
    phone.choose_files(files)
    phone.wait_for_progress(1)
    other = phone.context.new_page()
    other.goto(phone.server.url)
    with other.expect_file_chooser() as chooser:
        other.get_by_text("Add music").click()
        other.get_by_role("button", name="Choose songs").click()
    chooser.value.set_files(files)
    other.get_by_text("Another tab of this page is scanning").wait_for()
    phone.press("Stop")
    phone.wait_for_text("Stopped after")
    count = len(phone.songs())
    other.wait_for_function(
        "count => document.querySelectorAll('li[data-path]').length === count", arg=count
    )
    assert 1 <= count < len(files)


def test_failures_are_counted_apart(phone: FolderPhone, songs: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_text("no song")
    phone.use_model("standard")
    phone.scan([*songs[:2], broken])
    phone.wait_for_text("Done: 2 songs labelled, 1 not.")
