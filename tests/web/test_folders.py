"""Folders that a browser keeps: looked through, offered again, told apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_tone
from tests.web.folders import give_folders, pick, put, remove
from tests.web.phone import Phone, Site
from tests.web.test_page import use_model


@pytest.fixture
def keeper(browser, site: Site) -> Iterator[Phone]:
    """A phone whose browser gives folders."""
    with Phone(browser, site) as phone:
        give_folders(phone)
        yield phone
        phone.check()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "song.wav", 3.5, 16_000)


def test_a_folder_is_looked_through_and_offered_again(keeper: Phone, song: Path) -> None:
    for path in ("a.wav", "deep/er/b.wav", "deep/cover.jpg", ".hidden/c.wav", "deep/._a.wav"):
        put(keeper, f"Music/{path}", song)
    pick(keeper)
    keeper.finish()
    assert set(keeper.songs()) == {"Music/a.wav", "Music/deep/er/b.wav"}
    keeper.page.reload()
    put(keeper, "Music/new.wav", song)
    keeper.page.get_by_role("button", name="Go on with “Music”").click()
    keeper.page.get_by_text("Done: 1 song heard").wait_for()


def test_two_folders_of_one_name_keep_their_songs_apart(
    keeper: Phone, song: Path, tmp_path: Path
) -> None:
    put(keeper, "phone/Music/a.wav", song)
    put(keeper, "card/Music/a.wav", write_tone(tmp_path / "longer.wav", 6.5, 16_000))
    pick(keeper, "phone/Music")
    keeper.finish()
    pick(keeper, "card/Music")
    keeper.finish()
    assert set(keeper.songs()) == {"Music/a.wav", "Music (2)/a.wav"}
    pick(keeper, "phone/Music")
    keeper.page.get_by_text("Every song you chose is already labelled").wait_for()
    keeper.page.get_by_role("button", name="Go on with “Music (2)”").click()
    keeper.page.get_by_text("Every song you chose is already labelled").wait_for()
    assert keeper.page.get_by_role("button", name="Go on with").count() == 2


def test_a_song_that_is_gone_from_its_folder_is_not_listed_until_it_is_back(
    keeper: Phone, song: Path
) -> None:
    for name in "ab":
        put(keeper, f"Music/{name}.wav", song)
    pick(keeper)
    keeper.finish()
    use_model(keeper, "standard")
    pick(keeper)
    keeper.finish()
    remove(keeper, "Music/b.wav")
    pick(keeper)
    keeper.page.get_by_text("Every song you chose is already labelled").wait_for()
    assert keeper.songs_listed() == ["a.wav"]
    assert [row["path"] for row in keeper.exported()] == ["Music/a.wav"]
    use_model(keeper, "best")
    keeper.page.wait_for_function("() => document.querySelectorAll('li[data-path]').length === 1")
    assert len(keeper.stored_songs()) == 4  # kept, for the day that it is back
    put(keeper, "Music/b.wav", song)
    pick(keeper)
    keeper.finish()
    assert keeper.songs_listed() == ["a.wav", "b.wav"]
