"""Keep features in the catalogue, and label songs from them without decoding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.errors import CatalogError
from pocketgenre.inference import InferenceJob, InferenceResult
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.scan import ScanConfig, configure_scan, relabel_files
from pocketgenre.models.flatbuffer import read_output_layer, replace_output_layer
from pocketgenre.models.model_card import model_hash, read_model
from tests.conftest import write_genres
from tests.library.conftest import find_changes, scan
from tests.teachable_model import write_teachable_model


@dataclass(frozen=True)
class NoDecoding:
    """Fail for every file."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        return lambda job: InferenceResult(None, None, "it was decoded")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("songs") / "music", songs=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_teachable_model(tmp_path)


def config_of(model: Path) -> ScanConfig:
    return configure_scan(*read_model(model), executor=LocalExecutor(0))


def learned_config(model: Path) -> ScanConfig:
    """Return the configuration of a model with the same network and four labels."""
    content, card = read_model(model)
    rng = np.random.default_rng(5)
    layer = read_output_layer(content)
    kernel = rng.normal(size=(len(layer.kernel), 4)).astype(np.float32)
    labels = ("dub", "fado", "raï", "ska")
    learned = replace_output_layer(content, kernel, np.zeros(4, np.float32), labels)
    new_card = replace(card, labels=labels, sha256=model_hash(learned))
    return configure_scan(learned, new_card, executor=LocalExecutor(0))


def test_scan_stores_features(songs: Path, model: Path, catalog: Catalog) -> None:
    config = config_of(model)
    scan(songs, catalog, config)
    for song in catalog.songs():
        features = catalog.features(str(song.path), config.output_layer.base)
        probabilities = config.output_layer.predict(features.values)
        np.testing.assert_allclose(probabilities, song.prediction.segment_probabilities, atol=1e-3)
        assert catalog.features(str(song.path), bytes(32)) is None


def test_relabelled_songs_equal_scanned_ones(
    songs: Path, model: Path, catalog: Catalog, tmp_path: Path
) -> None:
    scan(songs, catalog, config_of(model))
    learned = learned_config(model)
    _, diff = find_changes(songs, catalog, learned.request())
    assert len(diff.to_relabel) == 3
    assert not diff.to_classify
    assert relabel_files(diff.to_relabel, catalog, learned) == 3
    with Catalog(tmp_path / "fresh.sqlite", create=True) as fresh:
        scan(songs, fresh, learned)
        for relabelled, scanned in zip(catalog.songs(), fresh.songs(), strict=True):
            assert relabelled.model == scanned.model == learned.card.sha256
            assert relabelled.genre == scanned.genre
            np.testing.assert_allclose(
                relabelled.prediction.segment_probabilities,
                scanned.prediction.segment_probabilities,
                atol=1e-3,
            )
    _, diff = find_changes(songs, catalog, learned.request())
    assert len(diff.unchanged) == 3


def test_features_survive_relabelling(songs: Path, model: Path, catalog: Catalog) -> None:
    first, learned = config_of(model), learned_config(model)
    scan(songs, catalog, first)
    before = {song.path: song.genre for song in catalog.songs()}
    for config in (learned, first):
        _, diff = find_changes(songs, catalog, config.request())
        relabel_files(diff.to_relabel, catalog, replace(config, setup=NoDecoding()))
    assert {song.path: song.genre for song in catalog.songs()} == before


def test_other_networks_features_are_stale(songs: Path, model: Path, catalog: Catalog) -> None:
    scan(songs, catalog, config_of(model))
    learned = learned_config(model)
    layer = replace(learned.output_layer, base=bytes(32))
    _, diff = find_changes(songs, catalog, replace(learned, output_layer=layer).request())
    assert len(diff.to_classify) == 3
    assert not diff.to_relabel


def test_changed_song_is_decoded(
    songs: Path, model: Path, catalog: Catalog, tmp_path: Path
) -> None:
    music = write_genres(tmp_path / "music", songs=1)
    scan(music, catalog, config_of(model))
    with open(music / "bass" / "0.wav", "ab") as file:
        file.write(b"\0" * 100)
    _, diff = find_changes(music, catalog, learned_config(model).request())
    assert [Path(file.path).parent.name for file in diff.to_classify] == ["bass"]
    assert len(diff.to_relabel) == 2


def test_failure_removes_features(songs: Path, model: Path, catalog: Catalog) -> None:
    config = config_of(model)
    scan(songs, catalog, config)
    listing, _ = find_changes(songs, catalog, config.request())
    catalog.record(listing.files[0], config.card, 0, InferenceResult(None, None, "it is bad"))
    assert catalog.features(listing.files[0].path, config.output_layer.base) is None


def test_returned_song_is_relabelled(model: Path, catalog: Catalog, tmp_path: Path) -> None:
    music = write_genres(tmp_path / "music", songs=1)
    config, learned = config_of(model), learned_config(model)
    scan(music, catalog, config)
    (music / "bass" / "0.wav").rename(tmp_path / "away.wav")
    scan(music, catalog, config)
    (tmp_path / "away.wav").rename(music / "bass" / "0.wav")
    diff, scanned = scan(music, catalog, learned)
    assert not scanned
    assert relabel_files(diff.to_relabel, catalog, learned) == 3
    assert [song.state for song in catalog.songs()] == ["labelled"] * 3


@pytest.mark.parametrize("content", [b"", b"no zlib", b"x\x9c" + b"\xff" * 90])
def test_damaged_features_are_named(
    songs: Path, model: Path, catalog: Catalog, content: bytes
) -> None:
    config = config_of(model)
    scan(songs, catalog, config)
    catalog._connection.execute("UPDATE segment_features SET compressed = ?", (content,))
    path = str(next(iter(catalog.songs())).path)
    with pytest.raises(CatalogError, match="is damaged; delete it and scan again"):
        catalog.features(path, config.output_layer.base)


def test_correction_follows_its_song(
    songs: Path, model: Path, catalog: Catalog, tmp_path: Path
) -> None:
    music = write_genres(tmp_path / "music", songs=1)
    config = config_of(model)
    scan(music, catalog, config)
    path = next(iter(catalog.songs())).path
    catalog.correct(str(path), "K-Pop")
    moved = path.with_name("moved.wav")
    path.rename(moved)
    scan(music, catalog, config)
    assert catalog.corrections() == {str(moved): "K-Pop"}
    assert catalog.song(str(moved)).genre == "K-Pop"
