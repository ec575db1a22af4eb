"""Run ``plot-dataset``, which plots songs and class balance."""

from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.cli.plot_dataset import plot_dataset
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.plots.dataset_plots import plot_class_balance, plot_song
from tests.conftest import Command, tone, write_tone
from tests.training.fabricated import fabricate_dataset

PLOT = "pocketgenre.training.cli.plot_dataset"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Write a data set with the first song of each genre; one genre is no valid file name."""
    data = fabricate_dataset(tmp_path / "data", {"R&B/$oul": [1, 1], "rock": [2]})
    for name in ("R&B/$oul/0.wav", "rock/0.wav"):
        (data.audio / name).parent.mkdir(parents=True)
        write_tone(data.audio / name, 4.0)
    return data


def test_command_plots_songs_and_class_balance(
    data: Dataset, tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "out"
    result = run_command(PLOT, data.folder, "--out", out)
    assert result.returncode == 0, result.stderr
    names = {"class-balance.png", "song-R%26B%2F%24oul.png", "song-rock.png"}
    assert {file.name for file in out.iterdir()} == names
    assert all(file.read_bytes().startswith(PNG) for file in out.iterdir())
    assert "Warning" not in result.stderr


def test_axes_have_labels_and_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    seen = {}
    save = Figure.savefig

    def record_axes(figure: Figure, *arguments, **options) -> None:
        seen.update({axes.get_title(): axes for axes in figure.axes})
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", record_axes)
    plot_song(tone(440.0, 6.0)[:, 0], MFCC_CONFIG, "a tone", tmp_path / "tone.png")
    titles = [title for title in seen if title]
    assert [title.partition(" (")[0] for title in titles] == [
        "Waveform",
        "Spectrogram",
        "Mel spectrogram",
        "MFCC",
    ]
    assert [seen[title].get_ylabel() for title in titles] == [
        "amplitude",
        "frequency (Hz)",
        "frequency (Hz)",
        "coefficient",
    ]
    assert seen[titles[-1]].get_xlabel() == "time (seconds)"
    assert seen[titles[0]].get_xlim() == pytest.approx((0.0, 6.0))


def test_figures_of_silence_are_reproducible(data: Dataset, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plot_song(np.zeros(3 * 22_050, np.float32), MFCC_CONFIG, "silence", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for name in ("c.png", "d.png"):
        plot_class_balance(data, tmp_path / name)
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "d.png").read_bytes()


def test_missing_audio_is_refused(data: Dataset, tmp_path: Path) -> None:
    (data.audio / "rock" / "0.wav").unlink()
    with pytest.raises(DataError, match=r"needs the data set's audio, but .*rock/0\.wav"):
        plot_dataset(data.folder, tmp_path / "out")


def test_folder_without_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished data set"):
        plot_dataset(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("genre", ["g" * 180, "歌謡曲" * 20])
def test_long_genre_has_a_picture(tmp_path: Path, genre: str) -> None:
    data = fabricate_dataset(tmp_path / "data", {genre: [1], "rock": [1]})
    for song in data.songs:
        (data.audio / song.path).parent.mkdir(parents=True, exist_ok=True)
        write_tone(data.audio / song.path, 3.0)
    plot_dataset(data.folder, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("song-*.png"))) == 2


def test_characters_without_font_are_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    data = fabricate_dataset(tmp_path / "data", {"\U000a0000": [1], "rock": [1]})  # in no font
    for name in ("a.png", "b.png"):
        plot_class_balance(data, tmp_path / name)
    assert capsys.readouterr().err.count("No installed font has the characters") == 1
    assert not recwarn.list
