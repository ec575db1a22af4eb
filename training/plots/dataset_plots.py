"""Plot a song of a data set, and the number of songs and segments of each genre."""

from functools import partial
from pathlib import Path

import librosa
import librosa.display
import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.librosa_features import librosa_mfcc
from pocketgenre.training.plots.figure_style import GREYS, add_title, saved_figure, shortened


def plot_song(
    samples: NDArray[np.float32], feature_config: FeatureConfig, title: str, path: Path
) -> None:
    """Plot waveform, spectrogram, mel spectrogram and MFCC over the same time axis.

    Parameters
    ----------
    samples : float32 [shape=(n,)], at the configured sample rate
    feature_config : parameters of the spectrograms and the MFCC
    title : title of the figure
    path : PNG file
    """
    show = partial(
        librosa.display.specshow,
        sr=feature_config.sample_rate,
        hop_length=feature_config.hop_length,
        x_axis="s",
    )
    power = np.abs(
        librosa.stft(samples, n_fft=feature_config.n_fft, hop_length=feature_config.hop_length)
    )
    power **= 2
    mel = librosa.feature.melspectrogram(
        S=power, sr=feature_config.sample_rate, n_mels=feature_config.n_mels
    )
    # Standardised as for the networks: c0, the loudness, spans hundreds and would hide the others.
    standardised = StandardScaler().fit_transform(librosa_mfcc(samples, feature_config)).T
    seconds = len(samples) / feature_config.sample_rate
    with saved_figure(path, 10, 11) as figure:
        add_title(figure, title)
        grid = figure.subplots(4, 2, sharex="col", width_ratios=[40, 1])
        (wave, no_bar), (hertz, hertz_bar), (mels, mels_bar), (mfcc, mfcc_bar) = grid
        no_bar.set_axis_off()
        librosa.display.waveshow(
            samples, sr=feature_config.sample_rate, axis="s", ax=wave, color="0.3"
        )
        wave.set(title="Waveform", ylabel="amplitude", xlabel="", xlim=(0, seconds))
        for axes, bar, image, y_axis, name in (
            (hertz, hertz_bar, power, "hz", "Spectrogram"),
            (mels, mels_bar, mel, "mel", f"Mel spectrogram ({feature_config.n_mels} bands)"),
        ):
            decibels = librosa.power_to_db(image, ref=np.max, top_db=feature_config.top_db)
            drawn = show(decibels, y_axis=y_axis, ax=axes, cmap=GREYS)
            axes.set(title=name, ylabel="frequency (Hz)", xlabel="")
            figure.colorbar(drawn, cax=bar, label="dB below the loudest")
        drawn = show(standardised, ax=mfcc, cmap="cividis", vmin=-3, vmax=3)
        mfcc.set(
            title=f"MFCC ({feature_config.n_mfcc} coefficients, each standardised over the"
            " excerpt)",
            ylabel="coefficient",
            xlabel="time (seconds)",
            yticks=range(0, feature_config.n_mfcc, 2),
        )
        figure.colorbar(drawn, cax=mfcc_bar, label="standard deviations", extend="both")


def plot_class_balance(dataset: Dataset, path: Path) -> None:
    """Plot the number of songs and of segments of each genre."""
    rows = np.arange(len(dataset.labels))
    with saved_figure(path, 10, 1.8 + 0.35 * len(rows)) as figure:
        add_title(figure, f"{dataset.folder.resolve().name}: songs and segments of each genre")
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, targets, unit, grey, hatch in (
            (left, dataset.song_targets, "songs", "0.4", ""),
            (right, dataset.segment_targets, "segments", "0.85", "//"),
        ):
            counts = np.bincount(targets, minlength=len(rows))
            bars = axes.barh(rows, counts, color=grey, hatch=hatch, edgecolor="black")
            axes.bar_label(bars, padding=3)
            axes.set(xlabel=unit, title=f"{counts.sum():,} {unit}")
            axes.margins(x=0.12)
        right.set_xlabel(f"segments of {dataset.feature_config.segment_seconds:g} s")
        left.set_yticks(rows, [shortened(label) for label in dataset.labels])
        left.invert_yaxis()
