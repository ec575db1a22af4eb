"""Store folders in the browser: their songs, the next visit, folders of the same name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import write_tone
from tests.web.page_driver import FolderPhone, PageServer


@pytest.fixture
def phone(browser: Browser, server: PageServer) -> Iterator[FolderPhone]:
    with FolderPhone(browser, server) as opened:
        yield opened
        opened.check()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "song.wav", 3.5, 16_000)


def test_folder_is_listed_and_offered_again(phone: FolderPhone, song: Path) -> None:
    for path in ("a.wav", "deep/er/b.wav", "deep/cover.jpg", ".hidden/c.wav", "deep/._a.wav"):
        phone.write(f"Music/{path}", song)
    phone.open_folder()
    phone.wait_until_done()
    assert set(phone.songs()) == {"Music/a.wav", "Music/deep/er/b.wav"}
    phone.page.reload()
    phone.write("Music/new.wav", song)
    phone.show_sources()
    phone.press("Continue with “Music”")
    phone.wait_for_text("Done: 1 song labelled")


def test_folders_of_one_name_are_separate(phone: FolderPhone, song: Path, tmp_path: Path) -> None:
    phone.write("phone/Music/a.wav", song)
    phone.write("card/Music/a.wav", write_tone(tmp_path / "longer.wav", 6.5, 16_000))
    phone.open_folder("phone/Music")
    phone.wait_until_done()
    phone.open_folder("card/Music")
    phone.wait_until_done()
    assert set(phone.songs()) == {"Music/a.wav", "Music (2)/a.wav"}
    phone.open_folder("phone/Music")
    phone.wait_for_text("already have a genre")
    phone.show_sources()
    phone.press("Continue with “Music (2)”")
    phone.wait_for_text("already have a genre")
    assert phone.page.get_by_role("button", name="Continue with").count() == 2


def test_vanished_song_is_hidden_until_it_returns(phone: FolderPhone, song: Path) -> None:
    for name in "ab":
        phone.write(f"Music/{name}.wav", song)
    phone.open_folder()
    phone.wait_until_done()
    phone.use_model("standard")
    phone.open_folder()
    phone.wait_until_done()
    phone.remove("Music/b.wav")
    phone.open_folder()
    phone.wait_for_text("already have a genre")
    assert phone.listed_names() == ["a.wav"]
    assert [row["path"] for row in phone.exported()] == ["Music/a.wav"]
    phone.use_model("best")
    phone.page.wait_for_function("() => document.querySelectorAll('li[data-path]').length === 1")
    assert len(phone.stored_songs()) == 4  # two per model stay stored
    phone.write("Music/b.wav", song)
    phone.open_folder()
    phone.wait_until_done()
    assert phone.listed_names() == ["a.wav", "b.wav"]
