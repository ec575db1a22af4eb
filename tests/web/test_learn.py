"""Learn genres of the user's own on the page, from corrections."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Browser
from scipy.special import softmax

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from pocketgenre.models.flatbuffer import read_output_layer
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from tests.conftest import Command, invoke, write_tone
from tests.web.page_driver import PageServer, Phone
from tests.web.test_accessibility import check_accessibility

GENRES = {"bells": "Gamelan", "piano": "Fado", "both": "K-Pop"}
"""Own genre of the songs whose names begin with a word."""

SPEEDS = (0.75, 0.94, 1.06, 1.19, 1.33, 0.84, 1.12)
TAUGHT = 5
RATE = 44_100
PANEL = "Your own genres"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write one song for each genre at seven speeds; `best` takes them for music."""
    originals = write_synthetic_library(tmp_path_factory.mktemp("originals"), 5.0)
    first, third, fourth = (
        np.concatenate(list(stream_mono(originals[i], RATE)))[: 5 * RATE] for i in (0, 2, 3)
    )
    folder = tmp_path_factory.mktemp("songs") / "Music"
    folder.mkdir()
    files = []
    sounds = {"bells": first, "piano": third, "both": 0.5 * first + 0.5 * fourth}
    for name, sound in sounds.items():
        for number, speed in enumerate(SPEEDS):
            files.append(folder / f"{name} {number}.wav")
            write_audio(files[-1], soxr.resample(sound, RATE * speed, RATE)[:, np.newaxis], RATE)
    return files


def scan_without_threshold(phone: Phone, songs: list[Path]) -> None:
    """Scan songs; each has the label of the model, however low its confidence."""
    phone.press("Settings")
    phone.page.get_by_label("confidence is below").select_option("0.0")
    phone.press("Done")
    phone.scan(songs)


@pytest.fixture
def scanned(phone: Phone, songs: list[Path]) -> Phone:
    scan_without_threshold(phone, songs)
    return phone


@pytest.fixture(scope="module")
def taught(browser: Browser, server: PageServer, songs: list[Path]) -> Iterator[Phone]:
    """Name the genres of most songs, and learn them; tests may add songs."""
    with Phone(browser, server) as phone:
        scan_without_threshold(phone, songs)
        for word, genre in GENRES.items():
            named = [file.name for file in songs if file.name.startswith(word)]
            teach(phone, named[:TAUGHT], genre)
        learn(phone)
        yield phone
        phone.check()


def teach(phone: Phone, names: list[str], genre: str) -> None:
    """Give songs a genre of the user's own."""
    phone.press("Select songs")
    for name in names:
        phone.page.get_by_role("checkbox", name=f"Select {name}").check()
    bar = phone.page.get_by_role("region", name="Selected songs")
    bar.get_by_role("combobox").select_option(label="a genre of your own…")
    bar.get_by_label("Name of the genre").fill(genre)
    bar.get_by_role("button", name="Set").click()
    phone.page.get_by_role("heading", name=genre).wait_for()


def open_panel(phone: Phone) -> None:
    phone.wait_until_started()
    if not phone.page.get_by_role("button", name="Learn", exact=True).is_visible():
        phone.page.get_by_text(PANEL).click()


def learn(phone: Phone) -> None:
    open_panel(phone)
    phone.press("Learn", exact=True)
    phone.page.get_by_text("in another genre.").or_(
        phone.page.get_by_text("No song changed its genre.")
    ).wait_for()


def labels(phone: Phone, songs: list[Path]) -> dict[str, str]:
    """Return the label with the most votes of each song."""
    votes = {row["path"]: row["votes"] for row in phone.exported()}
    return {file.name: max(votes[file.name], key=votes[file.name].get) for file in songs}


def save_model(phone: Phone, folder: Path) -> Path:
    """Save the learned genres, and return the model's file."""
    open_panel(phone)
    with zipfile.ZipFile(phone.save("Save my genres")) as archive:
        archive.extractall(folder)
    return folder / "my-genres.tflite"


def open_model(phone: Phone, files: list[Path]) -> None:
    open_panel(phone)
    with phone.page.expect_file_chooser() as chooser:
        phone.press("Open saved genres")
    chooser.value.set_files(files)


def scan_labels(songs: list[Path], model: Path, catalog: Path) -> dict[str, str]:
    """Return the genres of songs by ``scan-library``."""
    options = ["--format", "json", "--catalog", catalog, "--min-confidence", 0, "--workers", 0]
    result = invoke("pocketgenre.cli.scan_library", songs[0].parent, "--model", model, *options)
    assert result.returncode == 0, result.stderr
    return {row["path"]: row["genre"] for row in json.loads(result.stdout)}


def test_examples_label_the_other_songs(taught: Phone, songs: list[Path]) -> None:
    found = {row["path"]: row for row in taught.exported()}
    others = [found[file.name] for file in songs if found[file.name]["corrected"] is None]
    assert len(others) == len(songs) - TAUGHT * len(GENRES)
    right = [row["genre"] == GENRES[row["path"].split()[0]] for row in others]
    assert np.mean(right) > 0.8, others
    assert {"rock", "not-music", *GENRES.values()} < set(found["bells 0.wav"]["votes"])
    taught.wait_for_text("get your genre")
    taught.page.reload()
    taught.wait_until_started()
    assert {row["path"]: row for row in taught.exported()} == found


def test_changes_are_listed_and_undone(scanned: Phone, songs: list[Path]) -> None:
    before = labels(scanned, songs)
    teach(scanned, [file.name for file in songs[:TAUGHT]], "Fado")
    corrected = scanned.exported()
    learn(scanned)
    after = labels(scanned, songs)
    changed = {name for name in before if before[name] != after[name]} - {
        file.name for file in songs[:TAUGHT]
    }
    assert changed
    listed = scanned.page.locator(".changes li")
    for summary in scanned.page.locator(".changes summary").all():
        summary.click()
    assert set(listed.all_inner_texts()) == changed
    scanned.page.locator(".learn").get_by_role("button", name="Undo").click()
    scanned.wait_for_text("The genres are as before.")
    assert labels(scanned, songs) == before
    assert scanned.exported() == corrected
    scanned.page.reload()
    scanned.wait_until_started()
    assert labels(scanned, songs) == before


def test_further_songs_get_learned_genres(taught: Phone, songs: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "further.wav"
    samples = np.concatenate([soundfile.read(songs[i], dtype="float32")[0] for i in (0, 1)])
    write_audio(file, samples[:, np.newaxis], RATE)
    taught.scan([file])
    assert labels(taught, [file]) == {"further.wav": "Gamelan"}
    taught.page.reload()
    taught.wait_until_started()
    assert labels(taught, [file]) == {"further.wav": "Gamelan"}


def test_saved_genres_work_in_scan_library(
    taught: Phone, songs: list[Path], tmp_path: Path
) -> None:
    page = labels(taught, songs)
    model = save_model(taught, tmp_path / "saved")
    card = read_model(model)[1]
    assert card.training["songs"] == dict.fromkeys(sorted(GENRES.values()), TAUGHT)
    assert card.accuracy["songs"] == TAUGHT * len(GENRES)
    assert scan_labels(songs, model, tmp_path / "catalog.sqlite") == page


def test_genres_of_learn_genres_are_opened(
    scanned: Phone, songs: list[Path], run_command: Command, tmp_path: Path
) -> None:
    before = labels(scanned, songs)
    model = learn_genres(run_command, songs, tmp_path, "best", "--only-taught")
    open_model(scanned, [model, card_path(model)])
    scanned.wait_for_text("now in another genre")
    assert labels(scanned, songs) == scan_labels(songs, model, tmp_path / "catalog.sqlite")
    scanned.press("Use the built-in genres")
    scanned.page.get_by_role("button", name="Use the built-in genres").wait_for(state="hidden")
    assert labels(scanned, songs) == before


def learn_genres(
    run_command: Command, songs: list[Path], folder: Path, model: str, *options: str
) -> Path:
    """Learn the same examples on the command line."""
    rows = [
        f"{file.name},{genre}"
        for word, genre in GENRES.items()
        for file in [file for file in songs if file.name.startswith(word)][:TAUGHT]
    ]
    table = folder / "genres.csv"
    table.write_text("\n".join(["path,genre", *rows]), encoding="utf-8")
    if not (folder / "catalog.sqlite").exists():
        scan_labels(songs, PRETRAINED_WAVEFORM["best"], folder / "catalog.sqlite")
    arguments = ["--model", model, "--catalog", folder / "catalog.sqlite", *options]
    out = folder / "package.tflite"
    result = run_command(
        "pocketgenre.learning.cli", songs[0].parent, "--from", table, "--out", out, *arguments
    )
    assert result.returncode == 0, result.stderr
    return out


def test_page_learns_as_learn_genres(
    taught: Phone, songs: list[Path], run_command: Command, tmp_path: Path
) -> None:
    page = save_model(taught, tmp_path / "saved")
    package = learn_genres(run_command, songs, tmp_path, "best_waveform")
    features = stored_features(taught)
    tables = []
    for path in (page, package):
        content, card = read_model(path)
        layer = read_output_layer(content)
        # The folds differ, and with them the temperature.
        scale = card.training["temperature"]
        logits = layer.dequantize(features) @ layer.kernel + layer.bias
        tables.append(softmax(scale * logits, axis=1))
        assert card.labels[-4:] == (*sorted(GENRES.values()), "not-music")
    assert np.abs(tables[0] - tables[1]).max() < 0.05  # the decoders differ a little


def stored_features(phone: Phone) -> np.ndarray:
    """Return the features of all songs, int8 [shape=(segments, features)]."""
    rows: list[Any] = phone.in_database(
        """async db => {
          const get = db.transaction("features").objectStore("features").getAll();
          const songs = await new Promise(ok => get.onsuccess = () => ok(get.result));
          return songs.map(({rows}) => [...rows]);
        }"""
    )
    width = len(read_output_layer(PRETRAINED_WAVEFORM["best"].read_bytes()).kernel)
    return np.concatenate([np.reshape(song, (-1, width)) for song in rows]).astype(np.int8)


def test_songs_of_earlier_version_are_scanned_again(scanned: Phone, songs: list[Path]) -> None:
    scanned.in_database(
        """async db => {
          const change = db.transaction("features", "readwrite");
          change.objectStore("features").clear();
          await new Promise(ok => change.oncomplete = ok);
        }"""
    )
    scanned.page.reload()
    scanned.show_sources()
    scanned.choose_files(songs)
    scanned.wait_for_text("already have a genre")
    teach(scanned, [file.name for file in songs[:2]], "Fado")
    open_panel(scanned)
    scanned.wait_for_text("2 examples can't be used yet")
    scanned.press("Learn", exact=True)
    scanned.wait_for_text("There is no example to learn from")
    scanned.press("Scan 2 more songs")
    scanned.wait_until_done()
    learn(scanned)
    scanned.wait_for_text(f"{len(songs) - 2} songs keep the built-in genres")
    scanned.press(f"Scan {len(songs) - 2} more songs")
    scanned.wait_until_done()
    assert not scanned.page.get_by_text("keep the built-in genres").is_visible()
    assert "Fado" in set(labels(scanned, songs).values())


def test_removal_is_undone_with_learned_genre(taught: Phone) -> None:
    before = taught.exported()
    item = taught.page.locator("li[data-path]").filter(has_text="bells 6.wav")
    item.locator("summary").click()
    item.get_by_role("button", name="Remove from the list").click()
    taught.wait_for_text("no longer in the list")
    taught.page.locator(".message").get_by_role("button", name="Undo").click()
    item.wait_for()
    assert taught.exported() == before


def test_one_genre_cannot_be_learned_alone(scanned: Phone, songs: list[Path]) -> None:
    before = labels(scanned, songs)
    teach(scanned, [songs[0].name], "Fado")
    open_panel(scanned)
    scanned.wait_for_text("Too few examples: Fado.")
    scanned.page.get_by_label("Only the genres of my examples").check()
    scanned.press("Learn", exact=True)
    scanned.wait_for_text("Fado is the only genre.")
    assert labels(scanned, songs) == before
    assert not scanned.page.get_by_role("button", name="Save my genres").is_visible()


def test_unusable_file_changes_nothing(taught: Phone, songs: list[Path], tmp_path: Path) -> None:
    before = taught.exported()
    open_panel(taught)
    file = tmp_path / "my.zip"
    file.write_text("no archive")
    open_model(taught, [file])
    taught.wait_for_text("Choose the .tflite file together with its .json file")
    assert taught.exported() == before


@pytest.mark.parametrize("name", ["<b>bold</b>", "__proto__", "80"])
def test_any_name_is_shown_as_text(phone: Phone, tmp_path: Path, name: str) -> None:
    phone.scan([write_tone(tmp_path / "a.wav"), write_tone(tmp_path / "b.wav", 5.0)])
    teach(phone, ["a.wav"], name)
    phone.correct("b.wav", name)
    listed = phone.page.get_by_role("region", name=name, exact=True)
    listed.get_by_text("b.wav").wait_for()
    learn(phone)
    assert [row["genre"] for row in phone.exported()] == [name, name]
    assert name in phone.exported()[0]["votes"]


def test_spelling_of_known_genre_is_kept(phone: Phone, tmp_path: Path) -> None:
    phone.scan([write_tone(tmp_path / "a.wav")])
    phone.press("Select songs")
    phone.page.get_by_role("checkbox", name="Select a.wav").check()
    bar = phone.page.get_by_role("region", name="Selected songs")
    bar.get_by_role("combobox").select_option(label="a genre of your own…")
    bar.get_by_label("Name of the genre").fill("\u202e")
    bar.get_by_label("Name of the genre").press("Enter")
    phone.wait_for_text("Write a name of at most 100 letters.")
    bar.get_by_label("Name of the genre").fill("Hip-Hop")
    bar.get_by_label("Name of the genre").press("Enter")
    phone.page.get_by_role("region", name="hiphop").get_by_text("a.wav").wait_for()


def test_model_without_learnable_layer_has_no_panel(phone: Phone, tmp_path: Path) -> None:
    phone.use_model("standard")
    phone.scan([write_tone(tmp_path / "a.wav")])
    assert not phone.page.get_by_text(PANEL).is_visible()


@pytest.fixture
def open_phone(browser: Browser, server: PageServer) -> Iterator[Phone]:
    """Open the page without its content security policy, which forbids the checker's script."""
    with Phone(browser, server, bypass_csp=True) as phone:
        yield phone


def test_axe_finds_no_problem(open_phone: Phone, tmp_path: Path) -> None:
    phone = open_phone
    phone.scan([write_tone(tmp_path / f"{n}.wav", 3.5 + n) for n in range(3)])
    teach(phone, ["0.wav"], "Fado")
    learn(phone)
    item = phone.page.locator("li[data-path]").filter(has_text="1.wav")
    item.locator("summary").click()
    item.get_by_role("combobox", name="Genre", exact=True).select_option(
        label="a genre of your own…"
    )
    check_accessibility(phone)
