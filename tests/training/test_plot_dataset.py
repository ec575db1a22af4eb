"""``plot-dataset``: pictures of the music."""

from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.plots.dataset import plot_class_balance, plot_song
from tests.conftest import Command, tone, write_tone
from tests.training.fabricated import fabricate_dataset

PLOT = "pocketgenre.training.cli.plot_dataset"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Two genres, one with a name that no file could have, and the first song of each."""
    data = fabricate_dataset(tmp_path / "data", {"R&B/$oul": [1, 1], "rock": [2]})
    for name in ("R&B/$oul/0.wav", "rock/0.wav"):
        (data.audio / name).parent.mkdir(parents=True)
        write_tone(data.audio / name, 4.0)
    return data


def test_it_draws_a_song_of_each_genre_and_their_balance(
    data: Dataset, tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "out"
    result = run_command(PLOT, data.folder, "--out", out)
    assert result.returncode == 0, result.stderr
    names = {"class-balance.png", "song-R%26B%2F%24oul.png", "song-rock.png"}
    assert {file.name for file in out.iterdir()} == names
    assert all(file.read_bytes().startswith(PNG) for file in out.iterdir())
    assert "Warning" not in result.stderr


def test_axes_say_what_they_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    seen = {}
    save = Figure.savefig

    def spy(figure: Figure, *arguments, **options) -> None:
        seen.update({axes.get_title(): axes for axes in figure.axes})
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
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


def test_silence_can_be_drawn_and_the_same_music_gives_the_same_bytes(
    data: Dataset, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        plot_song(np.zeros(3 * 22_050, np.float32), MFCC_CONFIG, "silence", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for name in ("c.png", "d.png"):
        plot_class_balance(data, tmp_path / name)
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "d.png").read_bytes()


def test_audio_that_is_gone_is_an_error_in_one_sentence(
    data: Dataset, tmp_path: Path, run_command: Command
) -> None:
    (data.audio / "rock" / "0.wav").unlink()
    result = run_command(PLOT, data.folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "The data set's audio is needed, but" in result.stderr
    assert "rock/0.wav" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_no_data_set_is_an_error(tmp_path: Path, run_command: Command) -> None:
    result = run_command(PLOT, tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "not a finished data set" in result.stderr
    assert not (tmp_path / "out").exists()
