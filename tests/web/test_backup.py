"""Save a backup of results and corrections, and restore it in another browser."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.backup_damage import set_field, set_song
from tests.conftest import invoke, write_tone
from tests.web.page_driver import PageServer, Phone
from tests.web.test_music import jpeg, tag_mp3, write_song

SCAN, EXPORT = "pocketgenre.cli.scan_library", "pocketgenre.cli.export_catalog"
INVALID = "This file is not a backup of this page"


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Write a song with tags, one without, and a broken one."""
    tagged = write_song(tmp_path / "a.mp3")
    tag_mp3(tagged, "Song A", "Ann", "Red", jpeg("red"))
    broken = tmp_path / "c.mp3"
    broken.write_text("no song")
    return [tagged, write_tone(tmp_path / "b.wav"), broken]


@pytest.fixture
def backup(phone: Phone, songs: list[Path]) -> Path:
    """Scan the songs, correct one, and save a backup."""
    phone.scan(songs)
    phone.correct("b.wav", "jazz")
    phone.page.get_by_role("region", name="jazz").get_by_text("b.wav").wait_for()
    phone.press("Settings")
    file = phone.save("Save a backup")
    phone.press("Done")
    return file


def restore(phone: Phone, file: Path) -> None:
    phone.press("Settings")
    with phone.page.expect_file_chooser() as chooser:
        phone.press("Restore a backup")
    chooser.value.set_files(file)


def stored(phone: Phone) -> list[Any]:
    """Return all stored songs, corrections and covers."""
    rest = phone.in_database(
        """async db => {
          const result = [];
          for (const store of ["corrections", "covers"]) {
            const objects = db.transaction(store).objectStore(store);
            for (const get of [objects.getAllKeys(), objects.getAll()])
              result.push(await new Promise(ok => get.onsuccess = () => ok(get.result)));
          }
          result.push((await Promise.all(result.pop().map(image => image.bytes())))
            .map(bytes => [...bytes]));
          return result;
        }"""
    )
    return [sorted(phone.stored_songs(), key=lambda song: song["path"]), *rest]


def test_backup_is_restored_in_other_browser(
    phone: Phone, backup: Path, songs: list[Path], browser: Browser, server: PageServer
) -> None:
    before = stored(phone)
    assert [len(part) for part in before] == [3, 1, 1, 1, 1]
    with Phone(browser, server) as other:
        restore(other, backup)
        other.wait_for_text("The backup has added 3 results")
        after = stored(other)
        for song in (*before[0], *after[0]):
            song["vanished"] = song.get("vanished", False)
        assert after == before
        assert other.names_by_group() == phone.names_by_group()
        other.choose_files(songs)
        other.wait_for_text("already have a genre")
        other.check()


def test_restore_changes_nothing_stored(phone: Phone, backup: Path) -> None:
    phone.correct("b.wav", "metal")
    phone.page.get_by_role("region", name="metal").get_by_text("b.wav").wait_for()
    before = stored(phone)
    restore(phone, backup)
    phone.wait_for_text("The backup has added 0 results")
    assert stored(phone) == before


def test_scan_library_takes_results_of_page(backup: Path, songs: list[Path]) -> None:
    result = invoke(SCAN, songs[0].parent, "--restore", backup, "--format", "json")
    assert "2 songs labelled from the backup, without decoding" in result.stderr
    assert "1 correction taken from the backup" in result.stderr
    genres = {song["path"]: song["genre"] for song in json.loads(result.stdout)}
    assert genres["b.wav"] == "jazz"


def test_page_takes_results_of_scan_library(
    phone: Phone, album: list[Path], tmp_path: Path
) -> None:
    backup = tmp_path / "backup.json"
    folder = album[0].parent
    scanned = json.loads(invoke(SCAN, folder, "--format", "json").stdout)
    invoke("pocketgenre.cli.correct_label", album[0], "K-Pop")
    invoke(EXPORT, "--folder", folder, "--format", "backup", "--out", backup)
    restore(phone, backup)
    phone.wait_for_text("The backup has added 4 results")
    expected = {f"{folder.name}/{song['path']}": song["votes"] for song in scanned}
    assert {song["path"]: song["votes"] for song in phone.exported()} == expected
    region = phone.page.get_by_role("region", name="K-Pop")
    region.get_by_text(album[0].name).wait_for()
    region.locator("summary").click()
    genre = region.get_by_role("combobox", name="Genre", exact=True)
    assert genre.input_value() == "K-Pop"


def test_same_content_is_not_classified_again(phone: Phone, album: list[Path]) -> None:
    phone.scan(album)
    copies = [file.rename(file.with_name(f"copy of {file.name}")) for file in album]
    phone.reload_with(
        "window.Worker = class extends Worker {"
        " postMessage(request, ...rest) { (window.requests ??= []).push(request.kind);"
        " super.postMessage(request, ...rest); } }"
    )
    phone.scan(copies)
    requested = phone.page.evaluate("window.requests")
    assert "open" not in requested
    assert len(phone.songs()) == 8


DAMAGES = (
    set_field(format="other"),
    set_field(version=2),
    set_field(songs={}),
    set_field(corrections={"a": 1}),
    set_field(covers={"../x": "AAAA"}),
    set_song(path=5),
    set_song(size=-1),
    set_song(probabilities="AAAA"),
    set_song(probabilities="AADAfw=="),  # not a number
    set_song(tags={"title": "x"}),
)


def test_damaged_backups_are_refused(phone: Phone, backup: Path, tmp_path: Path) -> None:
    before = stored(phone)
    for damage in DAMAGES:
        content = json.loads(backup.read_text(encoding="utf-8"))
        damage(content)
        damaged = tmp_path / "damaged.json"
        damaged.write_text(json.dumps(content), encoding="utf-8")
        phone.page.evaluate("document.querySelector('.message').replaceChildren()")
        restore(phone, damaged)
        phone.wait_for_text(INVALID)
    assert stored(phone) == before
