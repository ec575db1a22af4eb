"""The page as a person meets it: first visit, songs in, results out, once more offline."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from pocketgenre.demo.synthetic import write_audio
from tests.conftest import GENRES, tone, write_tone
from tests.web.phone import Phone, Site
from tests.web.songs import write

SHELL = {".html", ".css", ".js", ".webmanifest", ".svg", ".png"}


@pytest.fixture
def album(tmp_path: Path) -> list[Path]:
    """Four small songs."""
    files = []
    for number, kind in enumerate(("wav", "mp3", "ogg", "flac")):
        path = tmp_path / "Album" / f"song {number}.{kind}"
        path.parent.mkdir(exist_ok=True)
        write(path, tone(220.0 * (1 + number), 6.5, 44_100, 2), 44_100)
        files.append(path)
    return files


def test_the_first_visit_says_what_it_does_and_where(phone: Phone) -> None:
    page = phone.page
    assert page.get_by_role("heading", level=1).inner_text() == "pocketgenre"
    assert page.get_by_text("Nothing leaves this device").is_visible()
    assert page.get_by_role("button", name="Choose a music folder").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_can_be_installed(phone: Phone) -> None:
    phone.offline_ready()
    session = phone.context.new_cdp_session(phone.page)
    (errors,) = session.send("Page.getInstallabilityErrors").values()
    # A window without history is as good as a private one to Chromium.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}
    manifest = json.loads(session.send("Page.getAppManifest")["data"])
    sizes = {(icon["sizes"], icon.get("purpose", "any")) for icon in manifest["icons"]}
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= sizes
    assert manifest["start_url"] == manifest["scope"] == "./"
    for icon in manifest["icons"]:
        size = phone.page.evaluate(
            "async src => { const i = new Image(); i.src = src; await i.decode();"
            " return i.naturalWidth + 'x' + i.naturalHeight }",
            icon["src"],
        )
        assert icon["sizes"] in (size, "any")


def test_it_works_without_any_network(phone: Phone, album: list[Path]) -> None:
    phone.offline_ready()
    phone.context.set_offline(True)
    phone.page.reload()
    phone.choose_files(album)
    phone.finish()
    assert {song["path"] for song in phone.exported()} == {path.name for path in album}


def test_both_networks_are_there_offline(phone: Phone, album: list[Path]) -> None:
    phone.offline_ready()
    phone.context.set_offline(True)
    phone.page.reload()
    phone.choose_files(album)
    phone.finish()
    use_model(phone, "standard")
    phone.page.get_by_role("button", name="Listen to the 4 songs").click()
    phone.finish()
    assert len(phone.songs_listed()) == 4
    use_model(phone, "best")
    phone.page.get_by_role("button", name="Listen to the 4 songs").wait_for(state="hidden")
    assert len(phone.songs_listed()) == 4
    assert len({song["model"] for song in phone.stored_songs()}) == 2


def use_model(phone: Phone, name: str) -> None:
    phone.page.get_by_role("button", name="Settings").click()
    phone.page.get_by_label("Network").select_option(name)
    phone.page.get_by_role("button", name="Done").click()


def test_the_shell_is_small(built: Path) -> None:
    """Everything but wasm (with the script that loads it) and models, compressed."""
    files = [f for f in built.rglob("*") if f.suffix in SHELL and "litert_wasm" not in f.name]
    size = sum(len(gzip.compress(file.read_bytes())) for file in files)
    assert size < 200_000


def test_songs_dropped_onto_the_page_are_heard(phone: Phone, album: list[Path]) -> None:
    phone.drop(album[:2])
    phone.finish()
    assert set(phone.songs()) == {path.name for path in album[:2]}


def test_results_are_searched_filtered_and_ordered(phone: Phone, album: list[Path]) -> None:
    phone.choose_files([*album, write_tone(album[0].parent / "Ärger im Blues.wav", 4.0)])
    phone.finish()
    page = phone.page
    assert len(phone.songs_listed()) == 5
    page.get_by_label("Search songs and folders").fill("arger BLU")
    page.get_by_text("1 song found").wait_for()
    assert phone.songs_listed() == ["Ärger im Blues.wav"]
    page.get_by_label("Search songs and folders").fill("")
    page.wait_for_function("() => document.querySelectorAll('li[data-path]').length === 5")
    genre = next(iter(phone.songs_by_genre()))
    page.get_by_role("list", name="Show one genre").get_by_text(genre).click()
    assert list(phone.songs_by_genre()) == [genre]
    assert phone.exported() == [s for s in phone.exported() if s["genre"] == genre]


def test_a_correction_outlives_scans_and_networks(phone: Phone, album: list[Path]) -> None:
    phone.choose_files(album)
    phone.finish()
    phone.page.locator("summary").filter(has_text="song 1.mp3").click()
    phone.page.get_by_role("combobox", name="Genre", exact=True).select_option("metal")
    assert "song 1.mp3" in phone.songs_by_genre()["metal"]
    album[1].write_bytes(album[1].read_bytes() + bytes(100))  # another file, of the same name
    phone.page.reload()
    phone.choose_files(album)
    phone.finish()
    (row,) = (row for row in phone.exported() if row["path"] == "song 1.mp3")
    assert row["genre"] == row["corrected"] == "metal"
    use_model(phone, "standard")
    phone.choose_files(album)
    phone.finish()
    assert "song 1.mp3" in phone.songs_by_genre()["metal"]


def test_results_are_saved_as_playlists_and_tables(phone: Phone, album: list[Path]) -> None:
    phone.choose_files(album)
    phone.finish()
    genres = {song["path"]: song["genre"] for song in phone.exported()}
    playlists = phone.save("Playlists (M3U8)", files=len(set(genres.values())))
    assert {path.name for path in playlists} == {f"{genre}.m3u8" for genre in genres.values()}
    for path in playlists:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if not line.startswith("#")] == sorted(
            name for name, genre in genres.items() if genre == path.stem
        )
    (table,) = phone.save("Table (CSV)")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"]: row["genre"] for row in rows} == genres
    assert {f"votes_{genre}" for genre in GENRES} <= set(rows[0])


def test_doubtful_songs_are_uncertain_where_a_person_wants_it(
    phone: Phone, album: list[Path]
) -> None:
    phone.choose_files(album)
    phone.finish()
    rows = phone.exported()
    phone.page.get_by_role("button", name="Settings").click()
    phone.page.get_by_label("if the next genre is this close").select_option("0.3")
    phone.page.get_by_role("button", name="Done").click()
    expected = {row["path"]: row["genre"] if row["margin"] >= 0.3 else "uncertain" for row in rows}
    assert {row["path"]: row["genre"] for row in phone.exported()} == expected


def test_a_scan_pauses_goes_on_and_stops(phone: Phone, album: list[Path]) -> None:
    many = [album[0].with_name(f"{n}.wav") for n in range(40)]
    for path in many:
        path.write_bytes(album[0].read_bytes())
    phone.choose_files(many)
    page = phone.page
    page.wait_for_function("() => document.querySelector('progress').value >= 2")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("heading", name="Paused").wait_for()
    page.wait_for_timeout(2_000)  # what was in hand is finished
    before = len(phone.songs())
    page.wait_for_timeout(1_000)
    assert len(phone.songs()) == before < 40
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("n => document.querySelector('progress').value > n", arg=before)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped after").wait_for()
    page.get_by_role("button", name="Listen to the").click()
    phone.finish()
    assert len(phone.songs()) == 40


def test_what_is_heard_is_not_heard_again(phone: Phone, album: list[Path]) -> None:
    phone.choose_files(album)
    phone.finish()
    phone.page.reload()
    phone.choose_files(album)
    phone.page.get_by_text("Every song you chose is already labelled").wait_for()


def test_a_song_too_long_for_a_phones_memory_is_refused(phone: Phone, tmp_path: Path) -> None:
    path = tmp_path / "mix.wav"
    write_audio(path, tone(300.0, 21 * 60, 8_000), 8_000, subtype="PCM_16")
    phone.choose_files([path])
    phone.finish()
    assert phone.songs()["mix.wav"]["error"] == (
        "too long: 21 minutes, this page takes songs of up to 20"
    )


def mark_as_killed(phone: Phone, path: str) -> None:
    """As if the browser had ended the page over a song, three times."""
    phone.page.evaluate(
        """async path => {
          const open = indexedDB.open("pocketgenre");
          const db = await new Promise(ok => open.onsuccess = () => ok(open.result));
          const put = db.transaction("attempts", "readwrite").objectStore("attempts").put(3, path);
          await new Promise(ok => put.onsuccess = ok);
          db.close();
        }""",
        path,
    )


def test_a_song_that_ended_the_page_three_times_is_left_out(
    phone: Phone, album: list[Path]
) -> None:
    mark_as_killed(phone, album[0].name)
    phone.choose_files(album)
    phone.finish()
    assert "ended this page" in phone.songs()[album[0].name]["error"]
    phone.page.get_by_role("button", name="Try these again").click()
    phone.finish()
    assert phone.songs()[album[0].name]["error"] is None


def test_trying_again_leaves_what_the_other_network_heard(phone: Phone, album: list[Path]) -> None:
    use_model(phone, "standard")
    phone.choose_files(album)
    phone.finish()
    use_model(phone, "best")
    mark_as_killed(phone, album[0].name)
    phone.choose_files(album)
    phone.finish()
    phone.page.get_by_role("button", name="Try these again").click()
    phone.finish()
    assert [song["error"] for song in phone.stored_songs()] == [None] * 8


def test_a_browser_is_named_that_cannot_keep_anything(browser, site: Site) -> None:
    with Phone(browser, site) as phone:
        phone.context.add_init_script("indexedDB.open = () => { throw new Error('private') }")
        phone.page.reload()
        phone.page.get_by_text("keeps nothing for this page").wait_for()
