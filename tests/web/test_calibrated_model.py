"""Use the page with a model that has a calibrated confidence and the label "not-music"."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from pocketgenre import GenreClassifier
from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.calibrated_models import CONFIDENCE, write_calibrated_model
from tests.conftest import REPOSITORY, tone
from tests.web.conftest import build_copy, copy_sources
from tests.web.page_driver import PageServer, Phone

RATE = 44_100
THRESHOLD = "confidence is below"


@pytest.fixture(scope="module")
def calibrated_site(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page with calibrated models."""
    folder = tmp_path_factory.mktemp("calibrated")
    web = copy_sources(folder)
    package = folder / "pocketgenre"
    package.unlink()
    (package / "models").mkdir(parents=True)
    (package / "constants.json").symlink_to(REPOSITORY / "pocketgenre" / "constants.json")
    for model in (*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()):
        write_calibrated_model(model, package / "models")
    return build_copy(npm, web)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write songs with different labels, a song with silent segments, and damaged ones."""
    folder = tmp_path_factory.mktemp("library")
    write_synthetic_library(folder, 9.5)
    silence, sound = tone(0.0, 6.0, RATE, 2), tone(330.0, 9.5, RATE, 2)
    noise = np.random.default_rng(4).normal(size=sound.shape).astype(np.float32)
    write_audio(folder / "quiet start.wav", np.concatenate([silence, 0.2 * noise]), RATE)
    hum = 1e-3 * noise[: len(silence)]
    write_audio(folder / "fade.flac", np.concatenate([0.3 * noise, hum, sound]), RATE)
    broken = (0.2 * noise).copy()
    broken[7 * RATE :] = np.inf
    write_audio(folder / "broken.wav", broken, RATE, "WAV", "FLOAT")
    for name, file_format in (("cut.wav", "WAV"), ("cut.mp3", "MP3"), ("cut.flac", "FLAC")):
        path = folder / name
        write_audio(path, 0.2 * noise, RATE, file_format)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    write_audio(folder / "dither.wav", 1e-5 * noise, RATE)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def scanned(browser: Browser, calibrated_site: Path, library: list[Path]) -> Iterator[Phone]:
    with PageServer(calibrated_site) as server, Phone(browser, server) as phone:
        phone.use_model("standard")
        phone.scan(library)
        yield phone
        phone.check()


def test_predictions_match_package(
    scanned: Phone, calibrated_site: Path, library: list[Path]
) -> None:
    models = calibrated_site.parents[2] / "pocketgenre" / "models"
    classifier = GenreClassifier(models / PRETRAINED_WAVEFORM["standard"].name)
    page = {row["path"]: row for row in scanned.exported()}
    assert set(page) == {path.name for path in library}
    assert page["dither.wav"]["error"] == "it holds only silence"
    stored = scanned.songs()
    for path in library:
        if path.name == "dither.wav" or path.stem == "cut":
            continue
        expected = classifier.classify(path)
        row = page[path.name]
        fields = expected.to_dict()
        assert set(row) == {"path", *fields, "error", "corrected"}
        for name in ("genre", "votes", "segments", "partial", "vote_share"):
            assert row[name] == fields[name], (path.name, name)
        for name in ("analyzed_seconds", "duration_seconds"):
            assert row[name] == pytest.approx(fields[name], abs=0.5), (path.name, name)
        assert row["confidence"] == pytest.approx(fields["confidence"], abs=0.05), path.name
        table = np.reshape(stored[path.name]["probabilities"], (-1, len(expected.labels)))
        silent = ~table.any(axis=1)
        assert silent.tolist() == (~expected.segment_probabilities.any(axis=1)).tolist()
    genres = {row["genre"] for row in page.values()}
    assert {NOT_MUSIC, UNCERTAIN} < genres
    assert genres - {NOT_MUSIC, UNCERTAIN, None}
    assert sum(page["quiet start.wav"]["votes"].values()) == 3
    assert sum(page["fade.flac"]["votes"].values()) < page["fade.flac"]["segments"]


def test_damaged_songs_are_partial(scanned: Phone) -> None:
    page = {row["path"]: row for row in scanned.exported()}
    partial = {path for path, row in page.items() if row["partial"]}
    assert partial == {"broken.wav", "cut.wav", "cut.mp3", "cut.flac"}
    for path in partial:
        row = page[path]
        assert row["duration_seconds"] == pytest.approx(9.5, abs=0.1)
        assert 6.0 <= row["analyzed_seconds"] <= 7.0
        item = scanned.page.locator("li[data-path]").filter(has_text=path)
        item.get_by_text("of 0:10 classified").wait_for()
    assert page["Bells.m4a"]["duration_seconds"] == pytest.approx(9.5, abs=0.1)
    assert page["Bells.m4a"]["partial"] is False


def test_groups_are_ordered_and_counted(scanned: Phone) -> None:
    rows = scanned.exported()
    groups = list(scanned.names_by_group())
    assert groups[0] == "uncertain"
    assert groups[-2:] == ["without music", "failed"]
    summary = scanned.page.locator(".library > p").first.inner_text()
    counts = [sum(row["genre"] == genre for row in rows) for genre in (UNCERTAIN, NOT_MUSIC)]
    assert summary == (
        f"{len(rows)} songs · {counts[0]} uncertain · {counts[1]} without music · 4 partial"
        " · 1 failed"
    )
    scanned.page.locator(".genres").get_by_text("without music").click()
    assert list(scanned.names_by_group()) == ["without music"]
    assert {row["genre"] for row in scanned.exported()} == {NOT_MUSIC}
    scanned.page.locator(".genres").get_by_text("without music").click()


def test_uncertain_song_names_its_most_likely_genre(scanned: Phone) -> None:
    row = next(row for row in scanned.exported() if row["genre"] == UNCERTAIN)
    assert row["confidence"] < CONFIDENCE.min_confidence
    item = scanned.page.locator("li[data-path]").filter(has_text=row["path"])
    genre = max(row["votes"], key=row["votes"].get).replace(NOT_MUSIC, "no music")
    item.get_by_text(f"most likely {genre}, {row['confidence']:.0%}".replace("%", " %")).wait_for()
    for entry in row["top"]:
        label = "no music" if entry["genre"] == NOT_MUSIC else entry["genre"]
        is_listed = label in item.locator(".top").first.inner_text()
        assert is_listed == (entry["probability"] >= 0.005)  # smaller ones round to 0 %


def test_playlists_leave_out_files_without_music(scanned: Phone) -> None:
    rows = scanned.exported()
    genres = {row["genre"] for row in rows} - {None, NOT_MUSIC}
    playlists = scanned.playlists()
    assert set(playlists) == {f"{genre}.m3u8" for genre in genres}
    listed = "".join(playlists.values())
    assert not [row["path"] for row in rows if row["genre"] == NOT_MUSIC and row["path"] in listed]


def test_threshold_of_user_replaces_that_of_model(scanned: Phone) -> None:
    page = scanned.page
    assert "uncertain" in scanned.names_by_group()
    scanned.press("Settings")
    choice = page.get_by_label(THRESHOLD)
    assert choice.locator("option").first.inner_text() == "recommended: 62 %"
    choice.select_option("0.0")
    scanned.press("Done")
    assert "uncertain" not in scanned.names_by_group()
    page.reload()
    page.get_by_role("heading", name="Your library").wait_for()
    assert "uncertain" not in scanned.names_by_group()
    scanned.press("Settings")
    assert page.get_by_label(THRESHOLD).input_value() == "0.0"
    page.get_by_label(THRESHOLD).select_option("model")
    scanned.press("Done")
    assert "uncertain" in scanned.names_by_group()
