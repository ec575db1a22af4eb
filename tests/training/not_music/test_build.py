"""The data set has the described files, and no source is in both splits."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pocketgenre.training.data.labelled_songs import songs_from_index
from pocketgenre.training.errors import DataError
from pocketgenre.training.not_music import build, recordings
from pocketgenre.training.not_music.build import build_dataset
from pocketgenre.training.not_music.describe import kind_table, source_table
from pocketgenre.training.not_music.index import IndexRow, read_index
from pocketgenre.training.not_music.sources import Rule, Source, read_sources
from tests.conftest import invoke

RATE = 8000
SOURCES = [
    Source("prompts-fr", "train", "debian", "prompt", language="fr", licence="GPL"),
    Source("game-a", "train", "debian", "effect", rules=(Rule("/music/", "music"),)),
    Source("prompts-en", "test", "debian", "prompt", language="en"),
    Source("game-b", "test", "debian", "effect", rules=(Rule("/music/", "music"),)),
]


def write_noise(path: Path, seconds: float, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)


def write_cache(folder: Path) -> Path:
    """Write four small packages, with a copy, a short file, a link and a broken file."""
    for number, name in enumerate(("prompts-fr", "prompts-en")):
        for i in range(6):
            write_noise(folder / name / "sounds" / f"{i}.wav", 2 + i, 10 * number + i)
        write_noise(folder / name / "short.wav", 0.5, 90)
    for number, name in enumerate(("game-a", "game-b")):
        write_noise(folder / name / "music" / "track.wav", 30, 50 + number)
        write_noise(folder / name / "bang.wav", 1.5, 60 + number)
        write_noise(folder / name / "copy.wav", 1.5, 70)
        (folder / name / "broken.ogg").write_bytes(b"no audio")
        (folder / name / "link.wav").symlink_to("/etc/passwd")
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "MIXES", {"train": (4, 0), "test": (2, 2)})
        build_dataset(folder, write_cache(folder / "cache"), SOURCES, lambda items, _: items)
    return folder


def rows_of(folder: Path, split: str) -> list[IndexRow]:
    return read_index(folder / split / "index.csv")


def test_index_suits_prepare_dataset(built: Path) -> None:
    songs = songs_from_index(built / "train" / "index.csv")
    assert {song.genre for song in songs} == {"music", "not-music"}
    assert all((built / "train" / song.path).is_file() for song in songs)


def test_sources_are_in_one_split(built: Path) -> None:
    train, test = (
        {row.artist for row in rows_of(built, split)} - {"mixes"} for split in ("train", "test")
    )
    assert train == {"prompts-fr", "game-a"}
    assert test == {"prompts-en", "game-b"}


def test_kinds_give_the_genre_and_language(built: Path) -> None:
    rows = {row.song.split("/")[0] + " " + row.kind: row for row in rows_of(built, "train")}
    assert (rows["game-a music"].genre, rows["game-a effect"].genre) == ("music", "not-music")
    assert (rows["prompts-fr prompt"].language, rows["prompts-fr prompt"].licence) == ("fr", "GPL")
    assert rows["mixes music-over-speech"].genre == "music"
    assert rows["mixes speech-over-music"].genre == "not-music"


def test_train_files_are_cut_from_the_middle(built: Path) -> None:
    (row,) = (row for row in rows_of(built, "train") if row.kind == "music")
    cut, rate = soundfile.read(built / "train" / row.path)
    whole, _ = soundfile.read(built / "cache" / "game-a" / "music" / "track.wav")
    assert rate == RATE
    assert row.seconds == 24
    np.testing.assert_allclose(cut, whole[3 * RATE : 27 * RATE], atol=2**-15)


def test_test_files_are_whole(built: Path) -> None:
    (row,) = (row for row in rows_of(built, "test") if row.kind == "music")
    original = built / "cache" / "game-b" / "music" / "track.wav"
    assert (built / "test" / row.path).samefile(original)
    assert row.seconds == 30


def test_unusable_files_and_copies_are_left_out(built: Path) -> None:
    effects = {
        split: [row.song for row in rows_of(built, split) if row.kind == "effect"]
        for split in ("train", "test")
    }
    assert [song.rpartition("-")[0] for song in effects["train"]] == ["game-a/bang"]
    assert [song.rpartition("-")[0] for song in effects["test"]] == ["game-b/bang", "game-b/copy"]
    assert not [row for row in rows_of(built, "train") if "short" in row.path]


def test_limit_spreads_over_the_sorted_list(built: Path) -> None:
    found = recordings.list_recordings(SOURCES[0], built / "cache" / "prompts-fr")
    selected = recordings.select_recordings(found, limit=3, music_limit=1)
    assert [recording.file.name for recording in selected] == ["0.wav", "2.wav", "4.wav"]


def test_second_build_continues(built: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "MIXES", {"train": (4, 0), "test": (2, 2)})
        patch.setattr(build, "write_flac", None)
        before = (built / "train" / "index.csv").read_bytes()
        (built / "train" / "index.csv").unlink()
        build_dataset(built, built / "cache", SOURCES, lambda items, _: items)
    assert (built / "train" / "index.csv").read_bytes() == before


def test_headerless_files_are_converted(tmp_path: Path) -> None:
    source = Source("phone", "test", "debian", "prompt", raw_sample_rate=RATE)
    folder = tmp_path / "cache" / "phone"
    folder.mkdir(parents=True)
    samples = (1000 * np.sin(np.arange(2 * RATE))).astype("<i2")
    (folder / "a.raw").write_bytes(samples.tobytes())
    (folder / "b.g722").write_bytes(np.random.default_rng(1).bytes(16_000))
    (folder / "c.gsm").write_bytes((b"\xd0" + bytes(32)) * 100)
    build_dataset(tmp_path, tmp_path / "cache", [source], lambda items, _: items)
    rows = rows_of(tmp_path, "test")
    lengths = [soundfile.info(tmp_path / "test" / row.path).duration for row in rows]
    assert [row.path[-5:] for row in rows] == [".flac"] * 3
    assert lengths == pytest.approx([2, 2, 2], abs=0.01)
    assert [row.seconds for row in rows] == pytest.approx(lengths, abs=0.02)


def test_hostile_names_stay_inside(tmp_path: Path) -> None:
    source = Source("evil", "train", "debian", "effect")
    names = ("..-..", "a;b|c\nd", "-rf", "é" * 60, "CON")
    for seed, name in enumerate(names):
        write_noise(tmp_path / "cache" / "evil" / f"{name}.wav", 1, seed)
    build_dataset(tmp_path, tmp_path / "cache", [source], lambda items, _: items)
    rows = rows_of(tmp_path, "train")
    assert len({row.song for row in rows}) == len(names)
    for row in rows:
        assert (tmp_path / "train" / row.path).resolve().is_relative_to(tmp_path / "train")
        assert row.path.isascii()
        assert row.path.isprintable()


def test_tables_count_files_and_hours(built: Path) -> None:
    rows = {split: rows_of(built, split) for split in ("train", "test")}
    assert "| music | music | 1 | 0.01 | 1 | 0.01 |" in list(kind_table(rows))
    assert "| prompts-fr | train | prompt | 6 | 0.01 | GPL |" in list(source_table(rows, SOURCES))


def test_table_of_sources_is_consistent() -> None:
    sources = read_sources()
    assert len({source.name for source in sources}) == len(sources)
    assert {source.split for source in sources} == {"train", "test"}
    assert all(source.licence for source in sources)
    klettres = next(source for source in sources if source.name == "klettres-data")
    assert klettres.kind_and_language("/usr/share/klettres/da/syllab/a.ogg") == ("speech", "da")
    assert klettres.kind_and_language("/usr/share/klettres/ru/a.ogg") is None


def test_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = invoke("pocketgenre.training.not_music.build", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: apt-get is missing")


def test_index_outside_its_folder_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("path,song,genre,artist,kind\n../a.wav,a,music,b,music\n")
    with pytest.raises(DataError, match="outside its folder"):
        read_index(index)
