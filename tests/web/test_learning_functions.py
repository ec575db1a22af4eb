"""Compare what the page learns, in Chromium, with scikit-learn and the Python package."""

import json
import random
import warnings
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import INVERSE_REGULARIZATION, NOT_MUSIC
from pocketgenre.learning.learned_model import build_model, write_model
from pocketgenre.learning.regression import Layer
from pocketgenre.learning.taught_songs import group_songs
from pocketgenre.learning.teaching import Lesson, TaughtSongs, learn
from pocketgenre.library.genre_folding import clean_genre, letters
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.models.flatbuffer import read_output_layer
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from pocketgenre.training.evaluation.calibration import fit_temperature
from pocketgenre.training.evaluation.confidence_fit import fit_song_confidence
from tests.teachable_model import labels_in, write_teachable_model
from tests.web.browser_calls import BrowserCalls, as_bytes, as_file, as_float32, as_map

WIDTH = 30
OLD_LABELS = ("jazz", "metal", "pop", NOT_MUSIC)
BEST = PRETRAINED_WAVEFORM["best"]


def encode_layer(layer: Layer) -> dict[str, Any]:
    return {
        "labels": layer.labels, "kernel": as_float32(layer.kernel), "bias": as_float32(layer.bias),
    }  # fmt: skip


def decode_layer(values: dict[str, Any]) -> Layer:
    labels = tuple(values["labels"])
    kernel = np.array(values["kernel"], np.float32).reshape(-1, len(labels))
    return Layer(labels, kernel, np.array(values["bias"], np.float32))


def probabilities(layer: Layer, features: np.ndarray) -> np.ndarray:
    return softmax(layer.logits(features), axis=1)


def random_layer(rng: np.random.Generator, labels: tuple[str, ...]) -> Layer:
    kernel = rng.normal(scale=0.5, size=(WIDTH, len(labels)))
    return Layer(labels, kernel.astype(np.float32), rng.normal(size=len(labels)).astype("f4"))


def random_songs(rng: np.random.Generator, count: int, group_size: int) -> TaughtSongs:
    """Draw songs of one to nine segments of three genres, and other songs."""
    genres = [("K-Pop", "fado", "jazz")[i % 3] for i in range(count)]
    centres = {genre: rng.normal(scale=2, size=WIDTH) for genre in ("K-Pop", "fado", "jazz")}
    features = [
        (centres[genre] + rng.normal(scale=2, size=(rng.integers(1, 10), WIDTH))).astype("f4")
        for genre in genres
    ]
    others = rng.normal(scale=2, size=(40, WIDTH)).astype("f4")
    return TaughtSongs(features, genres, np.arange(count) // group_size, others)


def learn_on_page(
    learning: BrowserCalls, songs: TaughtSongs, old: Layer, labels: tuple[str, ...]
) -> dict[str, Any]:
    taught = [
        {"features": as_float32(rows), "genre": genre, "group": int(group)}
        for rows, genre, group in zip(songs.features, songs.genres, songs.groups, strict=True)
    ]
    others = [as_float32(row) for row in songs.others]
    result: dict[str, Any] = learning("learn", taught, others, encode_layer(old), labels)
    return result


@pytest.mark.parametrize("labels", [3, 12])
def test_regression_is_scikit_learns(learning: BrowserCalls, labels: int) -> None:
    rng = np.random.default_rng(labels)
    targets = np.arange(labels * 8) % labels
    features = rng.normal(size=(labels, WIDTH))[targets] + rng.normal(size=(len(targets), WIDTH))
    features = (3 * features + 5).astype(np.float32)
    weights = rng.uniform(0.2, 5, len(targets))
    examples = [
        {"features": as_float32(row), "weights": as_map({int(target): weight})}
        for row, target, weight in zip(features, targets, weights, strict=True)
    ]
    names = tuple(map(str, range(labels)))
    zero = Layer(names, np.zeros((WIDTH, labels), np.float32), np.zeros(labels, np.float32))
    layer = decode_layer(learning("fitLayer", examples, encode_layer(zero), False))
    rows = (features - features.mean(axis=0)) / (features.std(axis=0) + 0.05)
    regression = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=5_000, tol=1e-8)
    expected = regression.fit(rows, targets, weights).predict_proba(rows)
    np.testing.assert_allclose(probabilities(layer, features), expected, atol=1e-3)


@pytest.mark.parametrize("only_taught", [False, True])
@pytest.mark.parametrize("count", [1, 4, 60])
def test_head_is_the_packages(learning: BrowserCalls, count: int, only_taught: bool) -> None:
    rng = np.random.default_rng(count)
    old = random_layer(rng, OLD_LABELS)
    songs = random_songs(rng, count, group_size=count)
    taught = sorted(set(songs.genres))
    labels = tuple(learning("labelNames", OLD_LABELS, taught, only_taught))
    expected = learn(songs, old, labels)
    assert expected.evaluation is None
    result = learn_on_page(learning, songs, old, labels)
    assert result["evaluation"] is None
    assert result["confidence"] is None
    inputs = np.concatenate([songs.others, *songs.features])
    page, package = decode_layer(result["layer"]), expected.layer
    np.testing.assert_allclose(
        probabilities(page, inputs), probabilities(package, inputs), atol=1e-3
    )


def test_labels_end_with_not_music(learning: BrowserCalls) -> None:
    names = learning("labelNames", OLD_LABELS, ["fado", "K-Pop", "jazz"], False)
    assert names == ["jazz", "metal", "pop", "K-Pop", "fado", NOT_MUSIC]
    names = learning("labelNames", OLD_LABELS, ["fado", "K-Pop", "jazz"], True)
    assert names == ["jazz", "K-Pop", "fado", NOT_MUSIC]
    assert learning("labelNames", ["a", "b"], [NOT_MUSIC], False) == ["a", "b", NOT_MUSIC]


def test_evaluation_keeps_artists_apart(learning: BrowserCalls) -> None:
    """Songs of one artist are alike, and their genre is arbitrary: it can't be predicted."""
    rng = np.random.default_rng(2)
    artists = np.repeat(np.arange(16), 6)
    centres = rng.normal(scale=5, size=(16, WIDTH))
    rows = [(centres[a] + rng.normal(scale=0.1, size=(3, WIDTH))).astype("f4") for a in artists]
    genres = [("dub", "fado")[artist % 2] for artist in artists]
    old = random_layer(rng, OLD_LABELS)
    shares = []
    for groups in (artists, np.arange(len(artists))):
        songs = TaughtSongs(rows, genres, groups, np.empty((0, WIDTH), np.float32))
        evaluation = learn_on_page(learning, songs, old, ("dub", "fado"))["evaluation"]
        tested = [song["genre"] for song in evaluation["songs"]]
        shares.append(np.mean(np.array(tested) == evaluation["predicted"]))
    assert shares[0] < 0.75
    assert shares[1] > 0.85


def test_groups_are_the_packages(learning: BrowserCalls) -> None:
    songs = [
        ("a/1.mp3", "Ann", "Red"), ("a/2.mp3", " ANN ", None), ("a/3.mp3", "Bob", "Red"),
        ("b/4.mp3", "Cid", "Red"), ("b/5.mp3", None, None), ("b/6.mp3", "", ""),
        ("c/7.mp3", "Straße", "Blue"), ("c/8.mp3", "STRASSE", None), ("c/9.mp3", "Dee", "blue "),
    ]  # fmt: skip
    tagged = [{"path": p, "artist": artist, "album": album} for p, artist, album in songs]
    tags = [(p, Metadata(artist=artist or "", album=album or "")) for p, artist, album in songs]
    assert partition(learning("groupSongs", tagged)) == partition(group_songs(tags, {}))


def partition(numbers: Any) -> list[int]:
    """Number groups by their first song."""
    values = list(numbers)
    return [values.index(value) for value in values]


def test_folds_are_scikit_learns(learning: BrowserCalls) -> None:
    rng = np.random.default_rng(5)
    for count in (6, 17, 60):
        groups = rng.integers(0, count // 2, count)
        genres = np.array([f"genre {g}" for g in rng.integers(0, 3, count)])
        folds = min(5, len(np.unique(groups)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            splitter = StratifiedGroupKFold(folds)
            expected = [set(test) for _, test in splitter.split(genres, genres, groups)]
        found = np.array(learning("stratifiedFolds", genres.tolist(), groups.tolist(), folds))
        assert [set(np.flatnonzero(found == i)) for i in range(folds)] == expected
        found = np.array(learning("groupFolds", groups.tolist(), folds))
        parts = GroupKFold(folds).split(genres, groups=groups)
        assert [set(np.flatnonzero(found == i)) for i in range(folds)] == [set(t) for _, t in parts]


def held_out_songs(count: int) -> tuple[list[np.ndarray], list[int]]:
    """Draw predictions of songs: those of some are clear, those of others are not."""
    rng = np.random.default_rng(count)
    targets = [i % 3 for i in range(count)]
    tables = []
    for target in targets:
        logits = rng.normal(size=(rng.integers(1, 14), 3))
        logits[:, target] += rng.choice([0.3, 3.0])
        tables.append(softmax(2 * logits, axis=1).astype(np.float32))
    return tables, targets


def test_temperature_is_the_packages(learning: BrowserCalls) -> None:
    tables, targets = held_out_songs(30)
    short = [table[:10] for table in tables]
    rows = np.concatenate(short)
    expected = fit_temperature(rows, np.repeat(targets, [len(table) for table in short]))
    found = learning("fitTemperature", [as_float32(table) for table in short], targets, 3)
    assert found == pytest.approx(expected, rel=1e-4)


def test_confidence_is_the_packages(learning: BrowserCalls) -> None:
    tables, targets = held_out_songs(150)
    labels = ("dub", "fado", "jazz")
    genres = [labels[target] for target in targets]
    groups = np.arange(len(tables)) // 2
    fit = fit_song_confidence(tables, genres, labels, groups)
    assert fit is not None
    songs = [{"genre": g, "group": int(n)} for g, n in zip(genres, groups, strict=True)]
    encoded = [as_float32(table) for table in tables]
    found = learning("fitSongConfidence", encoded, songs, labels)
    model = ConfidenceModel.from_dict(found)
    for evidence in (SongEvidence(-2, 0.3, -0.1, 0.5), SongEvidence(3, 1.0, 0.9, 2.3)):
        assert model.confidence(evidence) == pytest.approx(fit.model.confidence(evidence), abs=1e-3)
    assert model.min_confidence == pytest.approx(fit.model.min_confidence, abs=2e-3)
    assert learning("fitSongConfidence", encoded[:99], songs[:99], labels) is None


def test_names_of_genres_are_the_packages(learning: BrowserCalls) -> None:
    names = [
        "Hip-Hop", " K  Pop ", "Straße", "STRASSE", "ﬁne", "&", "", "  ", "x" * 100, "x" * 101,
        "uncertain", "a\tb", "a\nb", "\x1b[31m", "\u202eevil", "日本の歌", "é", "e\u0301",
        "__proto__", "80",
    ]  # fmt: skip
    for name in names:
        assert learning("letters", name) == letters(name), name
        assert learning("cleanGenre", name) == clean_genre(name), name


def test_last_layer_is_read(learning: BrowserCalls, tmp_path: Path) -> None:
    for path in (BEST, PRETRAINED["best"], write_teachable_model(tmp_path)):
        content = path.read_bytes()
        expected = read_output_layer(content)
        found = learning("readOutputLayer", as_bytes(content))
        np.testing.assert_array_equal(found["kernel"], expected.kernel.ravel())
        np.testing.assert_array_equal(found["bias"], expected.bias)
        assert (found["scale"], found["zeroPoint"]) == (expected.scale, expected.zero_point)


def run_model(content: bytes, inputs: np.ndarray) -> list[np.ndarray]:
    """Return all outputs of a network."""
    interpreter = create_interpreter(content, 1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def test_features_are_the_packages(learning: BrowserCalls) -> None:
    content = BEST.read_bytes()
    layer = read_output_layer(content)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 48_000)).astype(np.float32)
    (before,) = run_model(content, noise)
    patched = learning("withFeatureOutput", as_bytes(content))
    after, features = run_model(patched, noise)
    np.testing.assert_array_equal(after, before)
    encoded = {"scale": layer.scale, "zeroPoint": layer.zero_point}
    rows = np.array(learning("quantized", as_float32(features), encoded), np.int8)
    np.testing.assert_array_equal(layer.dequantize(rows), features[0])
    np.testing.assert_allclose(layer.predict(rows[np.newaxis]), before, atol=1e-5)


def test_last_layer_is_replaced(learning: BrowserCalls) -> None:
    content = BEST.read_bytes()
    before = read_output_layer(content)
    rng = np.random.default_rng(1)
    for labels in (2, 13, 100):
        kernel = rng.normal(scale=0.1, size=(len(before.kernel), labels)).astype(np.float32)
        bias = rng.normal(size=labels).astype(np.float32)
        layer = {"kernel": as_float32(kernel), "bias": as_float32(bias)}
        written = learning("replaceOutputLayer", as_bytes(content), layer)
        after = read_output_layer(written)
        np.testing.assert_array_equal(after.kernel, kernel)
        np.testing.assert_array_equal(after.bias, bias)
        assert after.base == before.base
        noise = rng.normal(scale=0.1, size=(1, 48_000)).astype(np.float32)
        assert run_model(written, noise)[0].shape == (1, labels)


def test_damaged_models_are_refused(learning: BrowserCalls) -> None:
    content = BEST.read_bytes()
    standard = PRETRAINED_WAVEFORM["standard"].read_bytes()
    damaged = [b"", b"TFL3", content[:1000], content[: len(content) // 2], standard]
    rng = random.Random(0)
    for _ in range(12):
        mutated = bytearray(content)
        for _ in range(40):  # where the tables are
            at = rng.randrange(len(mutated) - 60_000, len(mutated) - 1_000)
            mutated[at] = rng.choice([0, 1, 127, 255])
        damaged.append(bytes(mutated))
    refused = 0
    for one in damaged:
        result = learning("readOutputLayer", as_bytes(one))
        refused += result == NOT_TEACHABLE
        assert result == NOT_TEACHABLE or len(result["bias"]) == 11
    assert refused >= 5


NOT_TEACHABLE = (
    "This file is not a model with learned genres. Choose one that this page or learn-genres saved."
)


def learned_by_package(folder: Path, name: str = "my", input_model: Path = BEST) -> Path:
    """Write a model with genres as ``learn-genres`` does."""
    content, card = read_model(input_model)
    width = len(read_output_layer(content).kernel)
    rng = np.random.default_rng(3)
    labels = ("fado", "K-Pop", NOT_MUSIC)
    kernel = rng.normal(scale=0.1, size=(width, 3)).astype(np.float32)
    layer = Layer(labels, kernel, np.array([0.5, 0, -1], np.float32))
    features = [rng.normal(size=(2, width)).astype(np.float32)]
    songs = TaughtSongs(features, ["fado"], np.zeros(1, np.int64), features[0][:0])
    path = folder / f"{name}.tflite"
    write_model(path, *build_model(content, card, songs, Lesson(layer, None, 1.0, None), "tags"))
    return path


def opened(learning: BrowserCalls, files: dict[str, bytes]) -> Any:
    encoded = [as_file(name, content) for name, content in files.items()]
    return learning("readLearnedModel", encoded, as_bytes(BEST.read_bytes()))


@pytest.mark.parametrize("base", ["best", "best_waveform"])
def test_models_of_the_package_are_opened(
    learning: BrowserCalls, tmp_path: Path, base: str
) -> None:
    input_model = {"best": PRETRAINED["best"], "best_waveform": BEST}[base]
    path = learned_by_package(tmp_path, input_model=input_model)
    found = opened(
        learning, {"my.tflite": path.read_bytes(), "my.json": card_path(path).read_bytes()}
    )
    assert found["labels"] == ["fado", "K-Pop", NOT_MUSIC]
    np.testing.assert_array_equal(
        found["kernel"], read_output_layer(path.read_bytes()).kernel.ravel()
    )
    assert found["confidence"]["min_confidence"] == read_model(path)[1].confidence.min_confidence


def test_saved_model_is_read_by_the_package(learning: BrowserCalls, tmp_path: Path) -> None:
    path = learned_by_package(tmp_path)
    files = {"my.tflite": path.read_bytes(), "my.json": card_path(path).read_bytes()}
    layer = opened(learning, files)
    for name in ("kernel", "bias"):
        layer[name] = as_float32(np.array(layer[name]))
    archive = learning("writeLearnedModel", as_bytes(BEST.read_bytes()), {"layer": layer})
    with zipfile.ZipFile(BytesIO(archive)) as saved:
        saved.extractall(tmp_path / "saved")
    found, card = read_model(tmp_path / "saved" / "my-genres.tflite")
    expected = read_model(path)[1]
    assert replace(card, sha256="") == replace(expected, sha256="")
    assert labels_in(tmp_path / "saved" / "my-genres.tflite") == list(card.labels)
    np.testing.assert_array_equal(
        read_output_layer(found).kernel, read_output_layer(files["my.tflite"]).kernel
    )
    again = opened(learning, {"my-genres.zip": archive})
    assert again["labels"] == list(card.labels)


def test_unusable_models_are_refused(learning: BrowserCalls, tmp_path: Path) -> None:
    path = learned_by_package(tmp_path)
    model, card = path.read_bytes(), card_path(path).read_bytes()
    other = write_teachable_model(tmp_path, "other")
    fields = json.loads(card)

    def with_card(**values: object) -> dict[str, bytes]:
        return {"my.tflite": model, "my.json": json.dumps({**fields, **values}).encode()}

    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("my.tflite", bytes(40 << 20))
        archive.writestr("my.json", card)
    cases = [
        ({"my.tflite": model}, "Choose the .tflite file together"),
        ({"my.zip": b"no archive"}, "Choose the .tflite file together"),
        ({"my.zip": bomb.getvalue()}, "Choose the .tflite file together"),
        ({"my.tflite": model + b"x", "my.json": card}, "describes another .tflite file"),
        ({"my.tflite": model, "my.json": b"{"}, "does not describe a model"),
        (with_card(labels=["fado", "K-Pop"]), "does not describe a model"),
        (with_card(labels=["fado", "fado", "jazz"]), "does not describe a model"),
        (with_card(labels=["fado", "\x1b[31m", "jazz"]), "does not describe a model"),
        (with_card(confidence={"intercept": "1"}), "does not describe a model"),
        ({"a.tflite": other.read_bytes(), "a.json": card_path(other).read_bytes()},
         "learned with another model"),
    ]  # fmt: skip
    for files, error in cases:
        assert error in str(opened(learning, files)), error
