"""Run ``learn-genres`` and ``correct-label`` on synthetic songs."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC

from pocketgenre.classifier import GenreClassifier
from pocketgenre.constants import NOT_MUSIC
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.schema import default_catalog
from pocketgenre.models.flatbuffer import read_output_layer
from pocketgenre.models.model_card import card_path, read_model
from tests.conftest import invoke, write_genres
from tests.teachable_model import labels_in, write_teachable_model

LEARN = "pocketgenre.learning.cli"
CORRECT = "pocketgenre.cli.correct_label"
SCAN = "pocketgenre.cli.scan_library"
LIST = "pocketgenre.cli.list_songs"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six songs of each of three genres, in folders, tagged, by three artists each."""
    folder = write_genres(tmp_path_factory.mktemp("songs") / "music", songs=6, seconds=3.5)
    for wav in folder.rglob("*.wav"):
        samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
        wav.unlink()
        write_audio(wav.with_suffix(".flac"), samples, rate)
        audio = FLAC(wav.with_suffix(".flac"))
        genre = {"bass": "Drone; Dark", "flute": "K-Pop", "noise": "Hip-Hop/Rap"}[wav.parent.name]
        audio["genre"], audio["artist"] = genre, f"{wav.parent.name} {int(wav.stem) % 3}"
        audio.save()
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teachable_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scanned_catalog(songs: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with the features of the songs, which no test changes."""
    catalog = tmp_path_factory.mktemp("scanned") / "catalog.sqlite"
    scanned = invoke(SCAN, songs, "--model", model, "--catalog", catalog, "--workers", 0)
    assert scanned.returncode == 0, scanned.stderr
    return catalog


@pytest.fixture
def catalog(scanned_catalog: Path) -> Path:
    """The test's own copy of the catalogue, which is the default one."""
    default_catalog().parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(scanned_catalog, default_catalog())
    return default_catalog()


def learn(songs: Path, model: Path, out: Path, *options: object) -> Any:
    return invoke(LEARN, songs, "--model", model, "--out", out, *options)


def genres(songs: Path, model: Path) -> dict[str, str]:
    """Label songs by a scan of the catalogue, by name of the folder and song."""
    result = invoke(SCAN, songs, "--model", model, "--format", "json", "--min-confidence", 0)
    return {song["path"]: song["genre"] for song in json.loads(result.stdout)}


def test_library_is_labelled_as_tagged(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my.tflite"
    learned = learn(songs, model, out)
    assert learned.returncode == 0, learned.stderr
    assert "Learned 3 genres from 18 songs." in learned.stdout
    assert re.search(r"K-Pop +6 +3 +\d+%", learned.stdout)
    assert "Classifying" not in learned.stderr
    _, card = read_model(out)
    assert card.labels == ("jazz", "metal", "Drone", "K-Pop", "hiphop", NOT_MUSIC)
    assert labels_in(out) == list(card.labels)
    assert card.training["songs"] == {"Drone": 6, "K-Pop": 6, "hiphop": 6}
    found = genres(songs, out)
    expected = {"bass": "Drone", "flute": "K-Pop", "noise": "hiphop"}
    right = [genre == expected[Path(path).parent.name] for path, genre in found.items()]
    assert len(right) == 18
    assert np.mean(right) > 0.8


def test_learning_changes_no_label(songs: Path, model: Path, catalog: Path, tmp_path: Path) -> None:
    before = invoke(LIST).stdout
    assert learn(songs, model, tmp_path / "my.tflite").returncode == 0
    assert invoke(LIST).stdout == before


def test_learned_model_predicts_as_the_catalogue(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my.tflite"
    learn(songs, model, out, "--from", "folders", "--only-taught")
    song = songs / "flute" / "0.flac"
    invoke(SCAN, songs, "--model", out)
    with Catalog(catalog, access="read") as opened:
        stored = opened.song(str(song.resolve())).prediction
    prediction = GenreClassifier(out).classify(song)
    assert prediction.labels == ("bass", "flute", "noise", NOT_MUSIC)
    np.testing.assert_allclose(
        prediction.segment_probabilities, stored.segment_probabilities, atol=1e-3
    )


def test_only_missing_songs_are_decoded(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    music = shutil.copytree(songs, tmp_path / "music")
    first = learn(music, model, tmp_path / "my.tflite")
    assert "18 of 18" in first.stderr or "Classifying 18 songs" in first.stderr
    shutil.copy(music / "bass" / "0.flac", music / "bass" / "new.flac")
    assert "Classifying 1 song" in learn(music, model, tmp_path / "my.tflite").stderr


def test_csv_names_genres_and_artists(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    rows = ["path,genre,artist", "bass/0.flac,Dub,A", "bass/1.flac,Dub,A", "flute/0.flac,Fado,B"]
    rows += [f"{(songs / 'flute' / '1.flac').resolve()},fado,B", "gone.flac,Fado,C"]
    file = tmp_path / "genres.csv"
    file.write_text("\n".join(rows), encoding="utf-8-sig")
    learned = learn(songs, model, tmp_path / "my.tflite", "--from", file, "--only-taught")
    assert learned.returncode == 0, learned.stderr
    assert "Learned 2 genres from 4 songs." in learned.stdout
    assert "14 songs without a genre." in learned.stdout
    assert "accuracy is unknown" in learned.stdout
    assert "Too few songs: Dub, Fado" in learned.stdout


def test_corrections_outrank_tags(songs: Path, model: Path, catalog: Path, tmp_path: Path) -> None:
    for number in range(3):
        corrected = invoke(CORRECT, songs / "bass" / f"{number}.flac", "k pop")
        assert corrected.returncode == 0, corrected.stderr
    out = tmp_path / "my.tflite"
    assert learn(songs, model, out).returncode == 0
    assert read_model(out)[1].training["songs"] == {"Drone": 3, "K-Pop": 9, "hiphop": 6}


def test_corrections_suffice(songs: Path, model: Path, catalog: Path, tmp_path: Path) -> None:
    for number in range(2):
        invoke(CORRECT, songs / "flute" / f"{number}.flac", "Fado")
    out = tmp_path / "my.tflite"
    learned = learn(songs, model, out, "--from", "corrections")
    assert learned.returncode == 0, learned.stderr
    assert "Learned 1 genre from 2 songs." in learned.stdout
    assert read_model(out)[1].labels == ("jazz", "metal", "Fado", NOT_MUSIC)


def test_correction_survives_a_scan(songs: Path, model: Path, catalog: Path) -> None:
    song = songs / "bass" / "0.flac"
    assert invoke(CORRECT, song, "Fado").returncode == 0
    os.utime(song)
    found = genres(songs, model)
    assert [genre for path, genre in found.items() if path.endswith("bass/0.flac")] == ["Fado"]
    assert "bass/0.flac" in invoke(LIST, "--genre", "fado").stdout
    assert invoke(CORRECT, song, "--remove").returncode == 0
    assert "Fado" not in invoke(LIST).stdout


def test_spelling_of_a_correction_is_the_models(songs: Path, catalog: Path) -> None:
    assert "is jazz (was" in invoke(CORRECT, songs / "bass" / "0.flac", "JAZZ").stderr
    assert (
        "would be metal" in invoke(CORRECT, songs / "bass" / "1.flac", "Metal", "--dry-run").stderr
    )
    with Catalog(catalog, access="read") as opened:
        assert list(opened.corrections().values()) == ["jazz"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["bass/0.flac", "\x1b[31m"], "can't be a genre"),
        (["bass/0.flac", "uncertain"], "can't be a genre"),
        (["gone.flac", "jazz"], "is not in the catalogue"),
    ],
)
def test_impossible_correction_is_refused(
    songs: Path, catalog: Path, arguments: list[str], error: str
) -> None:
    result = invoke(CORRECT, songs / arguments[0], *arguments[1:])
    assert result.returncode == 1
    assert error in result.stderr
    assert "\x1b" not in result.stderr


def test_second_lesson_builds_on_the_first(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.tflite", tmp_path / "second.tflite"
    learn(songs, model, first, "--from", "folders")
    learned = learn(songs, first, second)
    assert learned.returncode == 0, learned.stderr
    assert "Classifying" not in learned.stderr
    labels = read_model(second)[1].labels
    assert set(labels) > {"bass", "Drone", "jazz", NOT_MUSIC}
    bases = {read_output_layer(file.read_bytes()).base for file in (model, first, second)}
    assert len(bases) == 1


def test_waveform_model_has_the_same_layer(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    missing = learn(songs, model, tmp_path / "my.tflite", "--input", "waveform")
    assert missing.returncode == 1
    assert "model_waveform.tflite" in missing.stderr
    assert not (tmp_path / "my.tflite").exists()


INVALID = {
    "one genre": (["--from", "one.csv", "--only-taught"], "Dub is the only genre"),
    "300 genres": (["--from", "many.csv"], "302 genres are too many"),
    "no genre": (["--from", "empty.csv"], "No song has a genre to learn from"),
    "missing column": (["--from", "column.csv"], "lacks the column genre"),
    "other songs": (["--from", "other.csv"], "names no song below"),
    "no CSV": (["--from", "missing.csv"], "There is no CSV file"),
    "unknown source": (["--from", "stars"], "--from stars is unknown"),
    "no corrections": (["--from", "corrections"], "No song has a genre to learn from"),
    "map of numbers": (["--map", "number.toml"], "needs a genre in quotes"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_input_is_one_sentence(
    songs: Path, model: Path, catalog: Path, tmp_path: Path, case: str
) -> None:
    many = shutil.copytree(songs, tmp_path / "music")
    paths = [many / "many" / f"{number}.flac" for number in range(300)]
    if case == "300 genres":
        (many / "many").mkdir()
        for path in paths:
            path.symlink_to(many / "bass" / "0.flac")
    files = {
        "one.csv": "path,genre\nbass/0.flac,Dub\n",
        "many.csv": "path,genre\n" + "".join(f"many/{n}.flac,genre {n}\n" for n in range(300)),
        "empty.csv": "path,genre\nbass/0.flac,\nbass/1.flac,\x1b[31m\n",
        "column.csv": "path,style\nbass/0.flac,Dub\n",
        "other.csv": "path,genre\n/etc/passwd,Dub\n../x.flac,Dub\n",
        "number.toml": "dub = 7\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    options, error = INVALID[case]
    options = [tmp_path / option if "." in option else option for option in options]
    result = learn(many, model, tmp_path / "my.tflite", *options)
    assert result.returncode == 1
    assert error in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("my.*"))


def test_undecodable_songs_teach_nothing(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "music" / "dub"
    folder.mkdir(parents=True)
    (folder / "bad.wav").write_text("no audio")
    result = learn(folder.parent, model, tmp_path / "my.tflite", "--from", "folders")
    assert result.returncode == 1
    assert "None of the songs with a genre could be decoded" in result.stderr
    assert not list(tmp_path.glob("my.*"))


def test_songs_and_models_are_not_overwritten(
    songs: Path, model: Path, catalog: Path, tmp_path: Path
) -> None:
    before = model.read_bytes()
    for out in (model, songs / "bass" / "0.flac", card_path(model), catalog):
        assert learn(songs, model, out).returncode == 1
    assert model.read_bytes() == before
