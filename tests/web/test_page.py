"""Use the page: first visit, installation, offline use, results and their export."""

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import GENRES, REPOSITORY, write_tone
from tests.web.mixed_library import write_album
from tests.web.page_driver import PageServer, Phone

SHELL = {".html", ".css", ".js", ".webmanifest", ".svg", ".png"}


def test_first_visit_shows_purpose_and_buttons(phone: Phone) -> None:
    page = phone.page
    assert page.get_by_role("heading", level=1).inner_text() == "pocketgenre"
    phone.wait_until_started()
    assert page.get_by_text("Nothing leaves this device").is_visible()
    assert page.get_by_text("Version ").bounding_box()["y"] < page.viewport_size["height"]
    assert page.get_by_role("button", name="Choose a music folder").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_page_is_installable(phone: Phone) -> None:
    phone.wait_until_offline_ready()
    session = phone.context.new_cdp_session(phone.page)
    (errors,) = session.send("Page.getInstallabilityErrors").values()
    # Chromium treats a context without a profile as a private window.
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


def test_console_stays_empty(phone: Phone, album: list[Path]) -> None:
    messages: list[str] = []
    phone.page.on("console", lambda message: messages.append(message.text))
    phone.page.reload()
    phone.scan(album)
    phone.press("Play song 1.mp3")
    phone.page.wait_for_function("() => document.querySelector('audio').currentTime > 0")
    assert messages == []


def test_both_models_work_offline(phone: Phone, album: list[Path]) -> None:
    phone.wait_until_offline_ready()
    phone.context.set_offline(True)
    phone.page.reload()
    phone.scan(album)
    assert {song["path"] for song in phone.exported()} == {path.name for path in album}
    phone.use_model("standard")
    phone.press("Scan 4 more songs")
    phone.wait_until_done()
    assert len(phone.listed_names()) == 4
    phone.use_model("best")
    phone.page.get_by_role("button", name="Scan 4 more songs").wait_for(state="hidden")
    assert len(phone.listed_names()) == 4
    assert len({song["model"] for song in phone.stored_songs()}) == 2


def test_shell_is_small(built: Path) -> None:
    """The shell is everything except models and WebAssembly with its loader."""
    files = [f for f in built.rglob("*") if f.suffix in SHELL and "litert_wasm" not in f.name]
    size = sum(len(gzip.compress(file.read_bytes())) for file in files)
    assert size < 200_000


def test_dropped_songs_are_scanned(phone: Phone, album: list[Path]) -> None:
    phone.drop(album[:2])
    phone.wait_until_done()
    assert set(phone.songs()) == {path.name for path in album[:2]}


@pytest.fixture(scope="module")
def shared_phone(
    browser: Browser, server: PageServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    """Scan an album once for the tests that only read its results."""
    folder = tmp_path_factory.mktemp("Album")
    with Phone(browser, server) as opened:
        opened.use_model("standard")
        opened.scan([*write_album(folder), write_tone(folder / "Ärger im Blues.wav", 4.0)])
        yield opened
        opened.check()


@pytest.fixture
def scanned(shared_phone: Phone) -> Phone:
    """Reload the page with its results, without search and filter."""
    shared_phone.page.reload()
    shared_phone.page.get_by_role("heading", name="Your library").wait_for()
    return shared_phone


def test_results_are_searched_and_filtered(scanned: Phone) -> None:
    page = scanned.page
    assert len(scanned.listed_names()) == 5
    page.get_by_label("Search songs and artists").fill("arger BLU")
    scanned.wait_for_text("1 song found")
    assert scanned.listed_names() == ["Ärger im Blues.wav"]
    page.get_by_label("Search songs and artists").fill("")
    page.wait_for_function("() => document.querySelectorAll('li[data-path]').length === 5")
    genre = next(iter(scanned.names_by_group()))
    page.get_by_role("list", name="Show one genre").get_by_text(genre).click()
    assert list(scanned.names_by_group()) == [genre]
    exported = scanned.exported()
    assert exported == [song for song in exported if song["genre"] == genre]


def test_playlists_and_table_hold_results(scanned: Phone) -> None:
    genres = {song["path"]: song["genre"] for song in scanned.exported()}
    playlists = scanned.playlists()
    assert set(playlists) == {f"{genre}.m3u8" for genre in genres.values()}
    for playlist, content in playlists.items():
        assert [line for line in content.splitlines() if not line.startswith("#")] == sorted(
            name for name, genre in genres.items() if f"{genre}.m3u8" == playlist
        )
    table = scanned.save("Table (CSV)")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"]: row["genre"] for row in rows} == genres
    assert {f"votes_{genre}" for genre in GENRES} <= set(rows[0])


def test_low_margin_makes_songs_uncertain(scanned: Phone) -> None:
    rows = scanned.exported()

    def set_margin(value: str) -> None:
        scanned.press("Settings")
        scanned.page.get_by_label("margin to the next genre").select_option(value)
        scanned.press("Done")

    set_margin("0.3")
    expected = {row["path"]: row["genre"] if row["margin"] >= 0.3 else "uncertain" for row in rows}
    assert {row["path"]: row["genre"] for row in scanned.exported()} == expected
    set_margin("-1.0")
    assert sorted(scanned.exported(), key=repr) == sorted(rows, key=repr)


def test_correction_survives_rescan_and_other_model(phone: Phone, album: list[Path]) -> None:
    phone.scan(album)
    phone.page.locator("summary").filter(has_text="song 1.mp3").click()
    phone.page.get_by_role("combobox", name="Genre", exact=True).select_option("metal")
    metal = phone.page.get_by_role("region", name="metal").get_by_text("song 1.mp3")
    metal.wait_for()
    phone.page.reload()
    phone.choose_files(album)
    phone.wait_for_text("already have a genre")
    album[1].write_bytes(album[1].read_bytes() + bytes(100))
    phone.scan(album)
    (row,) = (row for row in phone.exported() if row["path"] == "song 1.mp3")
    assert row["genre"] == row["corrected"] == "metal"
    phone.use_model("standard")
    phone.scan(album)
    metal.wait_for()


STORED_SONG = """async db => {
  const transaction = db.transaction("songs", "readwrite");
  const probabilities = new Float32Array(LABELS);
  probabilities.set([0.004, 0.986, 0.01]);
  transaction.objectStore("songs").put({
    path: "a.mp3", size: 1, modified: 1, hash: null, model: "MODEL", error: null, passing: false,
    probabilities, analyzedSeconds: 3, durationSeconds: 3, partial: false, tags: null});
  await new Promise(ok => transaction.oncomplete = ok);
}"""


def test_row_omits_genres_that_round_to_zero(phone: Phone) -> None:
    card = json.loads((REPOSITORY / "pocketgenre/models/best_waveform.json").read_text())
    script = STORED_SONG.replace("MODEL", card["sha256"])
    phone.in_database(script.replace("LABELS", str(len(card["labels"]))))
    phone.page.reload()
    row = phone.page.locator("li[data-path] .top").first
    assert row.inner_text() == "classical 99 % · country 1 %"
    phone.wait_for_text("Below it: the most probable genres.")


STORED_BEFORE = """async db => {
  const transaction = db.transaction(["songs", "corrections", "settings"], "readwrite");
  const probabilities = new Float32Array(10).fill(0.02);
  probabilities[9] = 0.82;
  const song = {path: "Music/a.mp3", size: 1, modified: 1, error: null, passing: false,
                model: "MODEL", probabilities};
  const songs = transaction.objectStore("songs");
  songs.put(song);
  songs.put({...song, path: "Music/b.mp3"});
  songs.put({...song, path: "Music/c.mp3", vanished: true});
  songs.put({...song, path: "Music/d.mp3", error: "not audio", probabilities: null});
  transaction.objectStore("corrections").put("jazz", "Music/b.mp3");
  transaction.objectStore("settings").put(
    {model: "standard", rule: "probability", confidence: 0.8, margin: -1}, "settings");
  await new Promise(ok => transaction.oncomplete = ok);
}"""


VERSION_1 = """async () => {
  await new Promise(ok => indexedDB.deleteDatabase("pocketgenre").onsuccess = ok);
  const open = indexedDB.open("pocketgenre", 1);
  open.onupgradeneeded = () => {
    open.result.createObjectStore("songs", {keyPath: ["model", "path"]});
    for (const store of ["corrections", "attempts", "folders", "settings"])
      open.result.createObjectStore(store);
  };
  await new Promise(ok => open.onsuccess = ok);
  open.result.close();
}"""


@pytest.mark.parametrize(("stored", "shown"), [("0.8", "0.8"), ("0", "model")])
def test_database_of_earlier_version_is_upgraded(phone: Phone, stored: str, shown: str) -> None:
    """The threshold 0 was the default of version 1."""
    card = json.loads((REPOSITORY / "pocketgenre/models/standard_waveform.json").read_text())
    phone.page.goto(f"{phone.server.url}icon.svg")
    phone.page.evaluate(VERSION_1)
    before = STORED_BEFORE.replace("MODEL", card["sha256"])
    phone.in_database(before.replace("confidence: 0.8", f"confidence: {stored}"))
    phone.page.goto(phone.server.url)
    phone.page.get_by_role("heading", name="Your library").wait_for()
    assert phone.names_by_group() == {"jazz": ["b.mp3"], "rock": ["a.mp3"], "failed": ["d.mp3"]}
    (row,) = (row for row in phone.exported() if row["path"] == "Music/a.mp3")
    assert row["confidence"] == row["probability"] == 0.82
    assert row["vote_share"] == 1.0
    assert (row["analyzed_seconds"], row["duration_seconds"]) == (None, None)
    assert row["partial"] is False
    vanished = phone.songs()["Music/c.mp3"]
    assert vanished["vanished"]
    assert vanished["partial"] is False
    phone.press("Settings")
    assert phone.page.get_by_label("confidence is below").input_value() == shown


def test_missing_database_is_explained(browser: Browser, server: PageServer) -> None:
    with Phone(browser, server) as phone:
        phone.reload_with("indexedDB.open = () => { throw new Error('private') }")
        phone.wait_for_text("cannot store results")
