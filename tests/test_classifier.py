"""Classify songs with the public interface."""

import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pocketgenre
from pocketgenre import AudioError, GenreClassifier, ModelError, PocketGenreError, SongPrediction
from pocketgenre.audio.decoding import open_stream, stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features.mfcc import mfcc
from pocketgenre.inference import InferenceJob, InferenceResult, InferenceSetup
from pocketgenre.library.discovery import FolderListing, list_songs
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.prediction import UNCERTAIN, LabelConfig
from tests.conftest import GENRES, REPOSITORY, invoke, tone, worker_processes, write_tone

SCAN = "pocketgenre.cli.scan_library"
STANDARD = PRETRAINED["standard"]


@pytest.fixture(scope="module")
def classifier() -> GenreClassifier:
    return GenreClassifier("standard")


@pytest.fixture(scope="module")
def scanned(library: Path) -> dict[str, dict]:
    """Scan the synthetic library with the command: its JSON by file name."""
    result = invoke(SCAN, library, "--model", "standard", "--format", "json", "--catalog",
        ":memory:", "--workers", 0)  # fmt: skip
    return {song.pop("path"): song for song in json.loads(result.stdout)}


@pytest.fixture
def mixed(library: Path, tmp_path: Path) -> Path:
    """Five songs, and two files that can't be classified."""
    folder = tmp_path / "music"
    shutil.copytree(library, folder / "albums")
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("not music\n" * 100)
    return folder


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, cwd=REPOSITORY, text=True).strip()


def as_json(song: SongPrediction) -> dict:
    return json.loads(json.dumps(song.to_dict()))


def assert_equal(song: SongPrediction, expected: SongPrediction) -> None:
    assert as_json(song) == as_json(expected)
    np.testing.assert_array_equal(song.segment_probabilities, expected.segment_probabilities)


def test_import_loads_no_other_package() -> None:
    code = (
        "import sys; before = set(sys.modules); import pocketgenre;"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(loaded - set(sys.stdlib_module_names)))"
    )
    assert run_python(code) == "['pocketgenre']"


def test_classification_needs_no_training_packages(library: Path) -> None:
    code = (
        "import sys; from pocketgenre import GenreClassifier;"
        f"GenreClassifier().classify({str(library / 'Slow pad.wav')!r});"
        "print(sorted({'tensorflow', 'librosa', 'scipy', 'sklearn', 'av', 'typer', 'rich'}"
        " & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


def test_public_names_are_listed_and_exist() -> None:
    assert dir(pocketgenre) == sorted(pocketgenre.__all__)
    assert all(getattr(pocketgenre, name) is not None for name in pocketgenre.__all__)
    names: dict[str, object] = {}
    exec("from pocketgenre import *", names)
    assert set(pocketgenre.__all__) <= set(names)


def test_unknown_public_name_raises() -> None:
    with pytest.raises(AttributeError, match="module 'pocketgenre' has no attribute 'Clasifier'"):
        _ = pocketgenre.Clasifier
    with pytest.raises(ImportError):
        from pocketgenre import Clasifier  # noqa: F401


@pytest.mark.parametrize("error", [AudioError, ModelError, pocketgenre.CatalogError])
def test_errors_have_one_base_class(error: type[Exception]) -> None:
    assert issubclass(error, PocketGenreError)


def test_model_is_loaded_by_name_or_path(
    classifier: GenreClassifier, library: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "mine.tflite"
    shutil.copy(STANDARD, copy)
    shutil.copy(card_path(STANDARD), card_path(copy))
    expected = classifier.classify(library / "Bells.m4a")
    assert classifier.labels == classifier.card.labels == GENRES
    for model in (str(copy), copy):
        assert_equal(GenreClassifier(model).classify(library / "Bells.m4a"), expected)
    from_bytes = GenreClassifier.from_bytes(*read_model(copy))
    assert_equal(from_bytes.classify(library / "Bells.m4a"), expected)


def test_missing_model_raises(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'bset'; choose standard, best"):
        GenreClassifier("bset")
    shutil.copy(STANDARD, tmp_path / "mine.tflite")
    with pytest.raises(ModelError, match="There is no model card at"):
        GenreClassifier(tmp_path / "mine.tflite")


@pytest.mark.parametrize(
    "options",
    [
        {"segments": -1},
        {"threads": 0},
        {"vote": "unanimous"},
        {"min_confidence": 1.1},
        {"min_confidence": -0.1},
        {"min_margin": -1.1},
        {"min_margin": float("nan")},
    ],
)
def test_options_out_of_range_raise(options: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        GenreClassifier("standard", **options)


def test_prediction_equals_json_of_the_command(
    classifier: GenreClassifier, library: Path, scanned: dict[str, dict]
) -> None:
    assert len(scanned) == 5
    for name, expected in scanned.items():
        assert expected.pop("error") is None
        path = library / name
        with open(path, "rb") as file:
            for song in (path, str(path), file, io.BytesIO(path.read_bytes())):
                assert as_json(classifier.classify(song)) == expected
        if not name.endswith("m4a"):
            for dtype in ("float32", "float64"):
                samples, rate = soundfile.read(path, dtype=dtype)
                assert samples.ndim == 2
                assert as_json(classifier.classify((samples, rate))) == expected


def test_mono_samples_have_one_or_two_dimensions(
    classifier: GenreClassifier, tmp_path: Path
) -> None:
    samples = tone(440.0, 7.0, 44_100)
    write_audio(tmp_path / "mono.wav", samples, 44_100, subtype="FLOAT")
    expected = classifier.classify(tmp_path / "mono.wav")
    for same in (samples, samples[:, 0], samples[:, 0].astype(np.float64), samples.repeat(2, 1)):
        assert_equal(classifier.classify((same, 44_100)), expected)


def test_each_segment_has_one_vote(classifier: GenreClassifier, library: Path) -> None:
    for path in library.iterdir():
        song = classifier.classify(path)
        assert song.segments == sum(song.votes.values()) == 2, path
        assert song.genre in classifier.card.labels
        assert sum(song.probabilities.values()) == pytest.approx(1.0, abs=0.05)
        assert song.timeline[-1].end == 6.0


def test_features_are_converted_to_probabilities(classifier: GenreClassifier) -> None:
    features = np.stack([mfcc(tone(hz, 3.0)[:, 0]) for hz in (100.0, 1_000.0)])
    probabilities = classifier.model.predict(features)
    assert probabilities.shape == (2, 10)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=0.02)


def test_segments_are_classified_as_their_song(classifier: GenreClassifier, library: Path) -> None:
    path = library / "Broken beat.mp3"

    def segments() -> list[np.ndarray]:
        return list(cut_segments(stream_mono(path, 22_050)))

    with open_stream(path, 22_050) as stream:
        song = classifier.classify_segments(cut_segments(stream.blocks), stream=stream)
    assert_equal(song, classifier.classify(path))
    assert classifier.classify_segments(segments()).votes == song.votes
    uncertain = classifier.classify_segments(iter(segments()), LabelConfig(min_margin=1.0))
    assert uncertain.genre == UNCERTAIN
    with pytest.raises(AudioError, match="it holds no audio"):
        classifier.classify_segments([])
    with pytest.raises(AudioError, match="only silence"):
        classifier.classify_segments([np.zeros(66_150, np.float32)])


def test_probabilities_have_half_precision(classifier: GenreClassifier, library: Path) -> None:
    table = classifier.analyze(library / "Bells.m4a").probabilities
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, table.astype(np.float16))


def test_selected_segments_are_spread_over_a_song(
    classifier: GenreClassifier, tmp_path: Path
) -> None:
    path = write_tone(tmp_path / "song.wav", 31.0, 44_100, 2)
    few = GenreClassifier("standard", segments=4)
    whole = classifier.analyze(path).probabilities
    assert len(whole) == 10
    samples = soundfile.read(path, dtype="float32")
    for song in (path, io.BytesIO(path.read_bytes()), samples):
        prediction = few.classify(song)
        assert prediction.segments == 4
        assert prediction.timeline == ()
        np.testing.assert_allclose(prediction.segment_probabilities, whole[[1, 3, 6, 8]], atol=0.05)
        assert len(few.analyze(song, 0).probabilities) == 10
        assert len(classifier.analyze(song, 3).probabilities) == 3
    assert GenreClassifier("standard", segments=99).classify(path).segments == 10


def test_thresholds_and_vote_rule_are_applied(classifier: GenreClassifier, library: Path) -> None:
    path = library / "Distorted riff.ogg"
    certain = classifier.classify(path)
    for option, value in (("min_margin", certain.margin), ("min_confidence", certain.confidence)):
        assert GenreClassifier("standard", **{option: value}).classify(path).genre == certain.genre
    uncertain = GenreClassifier("standard", min_margin=1.0).classify(path)
    assert uncertain.genre == UNCERTAIN
    assert uncertain.votes == certain.votes
    by_probability = GenreClassifier("standard", vote="probability").classify(path)
    assert by_probability.genre == certain.top[0][0]
    assert by_probability.confidence == by_probability.probability == certain.top[0][1]


def test_threads_do_not_change_predictions(classifier: GenreClassifier, library: Path) -> None:
    path = library / "Slow pad.wav"
    assert_equal(GenreClassifier("standard", threads=2).classify(path), classifier.classify(path))


def test_short_song_needs_one_second(classifier: GenreClassifier, tmp_path: Path) -> None:
    assert classifier.classify(write_tone(tmp_path / "1.wav", 1.0)).segments == 1
    with pytest.raises(AudioError, match="too short"):
        classifier.classify(write_tone(tmp_path / "0.9.wav", 0.9))
    with pytest.raises(AudioError, match=r"too short: 0\.50 s"):
        classifier.classify((tone(440.0, 0.5), 22_050))


def test_silent_song_raises(classifier: GenreClassifier, tmp_path: Path) -> None:
    silence = np.zeros((100_000, 1), np.float32)
    write_audio(tmp_path / "silence.flac", silence, 22_050)
    for song in (tmp_path / "silence.flac", (silence, 22_050), (silence + 2.0**-15, 22_050)):
        with pytest.raises(AudioError, match="only silence"):
            classifier.classify(song)


def test_unreadable_songs_raise(classifier: GenreClassifier, tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("not music\n" * 100)
    for song, reason in (
        (tmp_path / "missing.mp3", "cannot be read: No such file"),
        (str(tmp_path), "not a file"),
        (tmp_path / "empty.mp3", "the file is empty"),
        (io.BytesIO(), "the file is empty"),
        (tmp_path / "text.mp3", "not audio"),
        ((np.empty(0, np.float32), 22_050), r"too short: 0\.00 s"),
        ((np.empty((0, 2), np.float32), 22_050), r"too short: 0\.00 s"),
        ((tone(440.0, 2.0), 10), "sample rate of 10 Hz is not supported"),
    ):
        for segments in (0, 2):
            with pytest.raises(AudioError, match=reason):
                classifier.analyze(song, segments)


def test_non_finite_samples_raise(classifier: GenreClassifier) -> None:
    samples = tone(440.0, 7.0)
    for value in (np.nan, np.inf):
        samples[1_000] = value
        with pytest.raises(AudioError, match="not finite"):
            classifier.classify((samples, 22_050))


def test_other_types_of_songs_raise(classifier: GenreClassifier, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "song.wav")
    integers, rate = soundfile.read(path, dtype="int16")
    with open(path, encoding="latin-1") as text:
        for song in (text, (integers, rate), 3, None, b"song.wav"):
            with pytest.raises(TypeError, match=r"a song is a path|samples must be floats"):
                classifier.classify(song)


def test_pipe_error_names_a_solution(classifier: GenreClassifier) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with open(reader, "rb") as pipe, pytest.raises(AudioError, match=r"into io\.BytesIO"):
        classifier.classify(pipe)


def test_damaged_song_is_classified_before_its_damage(
    classifier: GenreClassifier, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (661_500, 1)).astype(np.float32)
    write_audio(tmp_path / "song.flac", noise, 22_050)
    whole = (tmp_path / "song.flac").read_bytes()
    (tmp_path / "song.flac").write_bytes(whole[: len(whole) // 2])
    assert 3 <= classifier.classify(tmp_path / "song.flac").segments <= 5


def test_card_with_other_labels_is_rejected() -> None:
    model, card = read_model(STANDARD)
    with pytest.raises(ModelError, match=r"has shape \(1, 10\), but its card requires \(1, 2\)"):
        TFLiteModel(model, replace(card, labels=("blues", "rock")))


def test_card_with_other_features_is_rejected() -> None:
    model, card = read_model(STANDARD)
    config = replace(card.feature_config, n_mfcc=20)
    with pytest.raises(ModelError, match="input has shape"):
        GenreClassifier.from_bytes(model, replace(card, feature_config=config))


def test_damaged_model_is_rejected() -> None:
    model, card = read_model(STANDARD)
    with pytest.raises(ModelError, match="cannot run this model"):
        GenreClassifier.from_bytes(model[:64] + bytes(64), card)


def test_real_songs_of_training_are_mostly_correct(
    classifier: GenreClassifier, gtzan: Path
) -> None:
    songs = [f"{genre}.0000{n}" for genre in ("blues", "classical", "metal") for n in range(4)]
    correct = sum(
        classifier.classify(gtzan / "audio" / song.split(".")[0] / f"{song}.ogg").genre
        == song.split(".")[0]
        for song in songs
    )
    assert correct >= 10


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_folder_is_classified_as_its_songs(
    classifier: GenreClassifier, mixed: Path, scanned: dict[str, dict], workers: int
) -> None:
    errors: dict[Path, str] = {}
    results = dict(
        classifier.classify_folder(
            str(mixed),
            workers=workers,
            on_error=lambda path, error: errors.update({path: str(error)}),
        )
    )
    assert {path.name for path in results} == set(scanned)
    for path, song in results.items():
        assert path.parent == mixed / "albums"
        assert_equal(song, classifier.classify(path))
    assert errors.keys() == {mixed / "empty.mp3", mixed / "text.mp3"}
    assert errors[mixed / "empty.mp3"] == "the file is empty"
    assert "not audio" in errors[mixed / "text.mp3"]
    assert not worker_processes()


def test_folder_uses_options_of_the_classifier(library: Path) -> None:
    few = GenreClassifier("standard", segments=1, min_margin=1.0)
    for path, song in few.classify_folder(library, workers=0):
        assert (song.segments, song.genre, song.timeline) == (1, UNCERTAIN, ())
        assert_equal(song, few.classify(path))


def test_broken_files_are_logged(
    classifier: GenreClassifier, mixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(mixed / "albums")
    assert list(classifier.classify_folder(mixed, workers=0)) == []
    assert caplog.record_tuples == [
        ("pocketgenre", logging.WARNING, f"{mixed / 'empty.mp3'}: the file is empty"),
        ("pocketgenre", logging.WARNING,
         f"{mixed / 'text.mp3'}: not audio in a format that can be decoded"),
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
def test_folder_yields_before_all_files_are_read(
    classifier: GenreClassifier, library: Path, tmp_path: Path, workers: int
) -> None:
    for number in range(6):
        shutil.copy(library / "Slow pad.wav", tmp_path / f"{number}.wav")
    missing: list[Path] = []
    results = classifier.classify_folder(
        tmp_path, workers=workers, on_error=lambda path, _: missing.append(path)
    )
    next(results)
    for path in tmp_path.iterdir():  # affects only files that are not read yet
        path.unlink()
    rest = list(results)
    assert len(missing) >= 4
    assert len(rest) + len(missing) == 5


def test_closed_folder_leaves_no_processes(
    classifier: GenreClassifier, library: Path, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.wav").symlink_to(library / "Slow pad.wav")
    results = classifier.classify_folder(tmp_path, workers=2)
    assert not worker_processes()
    next(results)
    assert worker_processes()
    results.close()
    assert not worker_processes()


@dataclass(frozen=True)
class CrashingSetup(InferenceSetup):
    """End the worker with files named ``crash`` and ``kill``."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        process_job = super().__call__()

        def process_or_crash(job: InferenceJob) -> InferenceResult:
            if Path(job.path).stem == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if Path(job.path).stem == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            return process_job(job)

        return process_or_crash


def test_crashing_file_loses_only_itself(
    classifier: GenreClassifier, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketgenre.classifier, "InferenceSetup", CrashingSetup)
    for name in ("crash", "kill"):
        shutil.copy(mixed / "albums" / "Slow pad.wav", mixed / f"{name}.wav")
    errors: dict[str, AudioError] = {}
    results = classifier.classify_folder(
        mixed, workers=1, on_error=lambda path, error: errors.update({path.name: error})
    )
    assert len(list(results)) == 5
    assert errors.keys() == {"crash.wav", "kill.wav", "empty.mp3", "text.mp3"}
    assert all(isinstance(error, AudioError) for error in errors.values())
    assert str(errors["crash.wav"]) == "it crashes its decoder (SIGSEGV)"
    assert str(errors["kill.wav"]) == "its worker process was killed from outside"
    assert not worker_processes()


def test_home_folder_is_expanded(
    classifier: GenreClassifier, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(mixed.parent))
    assert len(list(classifier.classify_folder("~/music/albums", workers=0))) == 5


def test_folder_errors_are_raised_at_once(classifier: GenreClassifier, tmp_path: Path) -> None:
    assert list(classifier.classify_folder(tmp_path, workers=0)) == []
    with pytest.raises(PocketGenreError, match="/no/such/folder does not exist"):
        classifier.classify_folder("/no/such/folder")
    with pytest.raises(ValueError, match="workers must be at least 0"):
        classifier.classify_folder("/", workers=-1)


def test_folder_reports_folders_that_cannot_be_listed(
    classifier: GenreClassifier, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = list_songs(library)
    hidden = FolderListing(listing.folder, listing.files[:1], (str(library / "secret"),))
    monkeypatch.setattr("pocketgenre.classifier.list_songs", lambda _: hidden)
    failures: dict[Path, AudioError] = {}
    songs = classifier.classify_folder(library, workers=0, on_error=failures.__setitem__)
    assert len(list(songs)) == 1
    assert str(failures[library / "secret"]) == "the folder cannot be listed"


def test_error_begins_with_path(classifier: GenreClassifier, tmp_path: Path) -> None:
    for path in (tmp_path / "gone.mp3", str(tmp_path / "gone.mp3")):
        with pytest.raises(AudioError) as caught:
            classifier.classify(path)
        assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_song_and_model_in_home_folder(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(library / "Slow pad.wav", tmp_path / "song.wav")
    for suffix in (".tflite", ".json"):
        shutil.copy(PRETRAINED["standard"].with_suffix(suffix), tmp_path / f"my{suffix}")
    song = GenreClassifier("~/my.tflite").classify("~/song.wav")
    assert song == GenreClassifier("standard").classify(library / "Slow pad.wav")


def test_threads_share_a_classifier(classifier: GenreClassifier, library: Path) -> None:
    paths = sorted(library.iterdir()) * 3
    with ThreadPoolExecutor(4) as threads:
        songs = list(threads.map(classifier.classify, paths))
    assert songs == [classifier.classify(path) for path in paths]


def test_uncertain_song_has_a_winner(library: Path) -> None:
    song = GenreClassifier("standard", min_margin=0.99).classify(library / "Slow pad.wav")
    assert song.genre == pocketgenre.UNCERTAIN
    assert song.winner in song.labels


def test_printed_song_is_short(classifier: GenreClassifier, library: Path) -> None:
    song = classifier.classify(library / "Slow pad.wav")
    assert f"genre={song.genre!r}" in repr(song)
    assert len(repr(song)) < 400


def test_types_are_checked_by_users_tools(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(
        "import io\n"
        "from pocketgenre import GenreClassifier, ModelCard, SongPrediction, VoteRule\n"
        "vote: VoteRule = 'majority'\n"
        "song: SongPrediction = GenreClassifier(vote=vote).classify(io.BytesIO())\n"
        "card: ModelCard = GenreClassifier().card\n"
        "from pocketgenre import GenreClasifier\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"]
    result = subprocess.run(
        [*command, tmp_path / "use.py"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert "use.py:6: error" in result.stdout
    assert "Found 1 error in 1 file" in result.stdout


def test_channels_first_samples_raise_what_to_do(classifier: GenreClassifier) -> None:
    with pytest.raises(TypeError, match=r"pass samples\.T, which is \(n, channels\)"):
        classifier.classify((np.zeros((2, 66_150), np.float32), 22_050))


def test_samples_out_of_range_raise(classifier: GenreClassifier) -> None:
    samples = np.tile(np.float32([1e30, -1e30]), 33_075)
    with pytest.raises(AudioError, match="features are not finite"), np.errstate(all="ignore"):
        classifier.classify((samples, 22_050))


@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan")])
def test_card_with_impossible_standardization_is_rejected(deviation: float) -> None:
    model, card = read_model(STANDARD)
    values = {"mean": [0.0] * 13, "deviation": [deviation] * 13}
    with pytest.raises(ModelError, match="standardization has values that are out of range"):
        TFLiteModel(model, replace(card, standardization=values))


def test_predictions_do_not_depend_on_numpy_error_settings(library: Path) -> None:
    best = GenreClassifier("best")
    with np.errstate(all="raise"):
        assert best.classify(library / "Slow pad.wav").segments == 2


@pytest.mark.parametrize(
    ("close", "expected"), [("", "open"), ("sys.stderr = None", "open"), ("os.close(2)", "closed")]
)
def test_models_can_be_loaded_in_threads(close: str, expected: str) -> None:
    """Loading redirects stderr for a moment; afterwards it is as before."""
    code = f"""
import os, sys, threading
from pocketgenre import GenreClassifier
{close}
before = os.path.exists("/proc/self/fd/2") and os.readlink("/proc/self/fd/2")
threads = [threading.Thread(target=GenreClassifier, args=("standard",)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
after = os.path.exists("/proc/self/fd/2") and os.readlink("/proc/self/fd/2")
print(before == after, "open" if after else "closed", len(GenreClassifier("standard").labels))
"""
    assert run_python(code) == f"True {expected} 10"


def test_silence_around_music_has_no_vote(classifier: GenreClassifier, library: Path) -> None:
    samples, rate = soundfile.read(library / "Slow pad.wav", dtype="float32")
    samples = samples[: 6 * rate]
    silence = np.zeros((30 * rate, *samples.shape[1:]), np.float32)
    hiss = np.random.default_rng(0).normal(scale=1e-5, size=silence.shape).astype(np.float32)
    song = classifier.classify((samples, rate))
    longer = classifier.classify((np.concatenate([silence, samples, hiss]), rate))
    assert longer.segments == 22
    assert (longer.genre, longer.votes) == (song.genre, song.votes)
    assert not longer.segment_probabilities[:10].any()
    assert longer.probabilities == song.probabilities


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_dither_and_offset_are_silence(classifier: GenreClassifier, offset: float) -> None:
    rng = np.random.default_rng(0)
    dither = np.rint(rng.uniform(-0.5, 0.5, (2, 66_150)).sum(axis=0)) / 32_768
    with pytest.raises(AudioError, match="only silence"):
        classifier.classify(((dither + offset).astype(np.float32), 22_050))
