"""Mix speech with music at given level ratios."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.not_music.audio_files import (
    EXCERPT_SECONDS,
    FloatArray,
    read_middle,
    resample,
    write_flac,
)
from pocketgenre.training.not_music.index import IndexRow
from pocketgenre.training.not_music.sources import SPEECH_KINDS, Split, genre_of

SAMPLE_RATE = 22_050
"""Sample rate of the mixes [Hz]."""

MIN_MUSIC_SECONDS = 10.0
"""Shortest track that is mixed with speech [s]."""

JINGLE_SECONDS = 5.0
"""Length of the music before the speech [s]."""

RATIOS = {"speech-over-music": (10, 15, 20), "music-over-speech": (-20, -15, -10)}
"""Level ratios of speech to music by kind [dB]."""

JINGLE = "speech-after-jingle"
"""Kind of recordings that begin with 5 s of music, like a podcast."""

_PEAK = 0.7  # of a mix, below full scale
_ACTIVE_DECIBELS = 40  # range below the loudest frame in which speech is active
_FRAME_SECONDS = 0.02  # a frame of usual speech codecs
_SEEDS = {"train": 5, "test": 6}


@dataclass(frozen=True)
class Mix:
    """A mix to write.

    Attributes
    ----------
    kind : ``speech-over-music``, ``music-over-speech`` or ``speech-after-jingle``
    speech : recordings of one source and language, in the order in which they are joined
    music : track of music
    ratio : level ratio of speech to music [dB]
    number : number of the mix
    """

    kind: str
    speech: tuple[IndexRow, ...]
    music: IndexRow
    ratio: float
    number: int

    @property
    def row(self) -> IndexRow:
        """Row of the index."""
        name = f"mixes/{self.kind}-{self.number:03}"
        return IndexRow(
            path=f"{name}.flac",
            song=name,
            genre=genre_of(self.kind),
            artist="mixes",
            kind=self.kind,
            language=self.speech[0].language,
            seconds=min(EXCERPT_SECONDS, round(self.music.seconds, 2)),
            licence=f"{self.speech[0].licence}; {self.music.licence}",
        )


def plan_mixes(rows: Sequence[IndexRow], split: Split, mixes: int, jingles: int) -> list[Mix]:
    """Choose the recordings of each mix; the same rows give the same mixes.

    The sources of speech and of music take turns.

    Parameters
    ----------
    rows : files of the split
    split : ``train`` or ``test``, which sets the seed
    mixes : number of mixes, half of each kind
    jingles : number of recordings that begin with a jingle

    Returns
    -------
    the mixes; none if there is no speech or no music.
    """
    rng = np.random.default_rng(_SEEDS[split])
    speech: dict[str, dict[str, list[IndexRow]]] = defaultdict(lambda: defaultdict(list))
    music: dict[str, list[IndexRow]] = defaultdict(list)
    for row in rows:
        if row.kind in SPEECH_KINDS:
            speech[row.artist][row.language].append(row)
        elif row.kind == "music" and row.seconds >= MIN_MUSIC_SECONDS:
            music[row.artist].append(row)
    if not speech or not music:
        return []
    kinds = [list(RATIOS)[i % 2] for i in range(mixes)] + [JINGLE] * jingles
    planned = []
    for number, kind in enumerate(kinds):
        source = (number // 2) % len(speech)
        languages = speech[list(speech)[source]]
        spoken = languages[list(languages)[rng.integers(len(languages))]]
        tracks = music[list(music)[source % len(music)]]
        planned.append(
            Mix(
                kind=kind,
                speech=tuple(spoken[i] for i in rng.permutation(len(spoken))),
                music=tracks[rng.integers(len(tracks))],
                ratio=float(rng.choice(RATIOS.get(kind, (0,)))),
                number=number,
            )
        )
    return planned


def write_mix(mix: Mix, folder: Path) -> None:
    """Write a mix below the folder of the index, unless it exists."""
    path = folder / mix.row.path
    if path.exists():
        return
    samples, rate = read_middle(folder / mix.music.path, EXCERPT_SECONDS)
    music = resample(samples, rate, SAMPLE_RATE)
    rng = np.random.default_rng(mix.number)
    speech = join((_read(folder / row.path) for row in mix.speech), len(music), rng)
    if mix.kind == JINGLE:
        mixed = begin_with_jingle(speech, music)
    else:
        mixed = mix_at_ratio(speech, music, mix.ratio)
    write_flac(path, mixed, SAMPLE_RATE)


def join(prompts: Iterator[FloatArray], count: int, rng: np.random.Generator) -> FloatArray:
    """Join recordings of speech with pauses of 0.2 to 0.6 s.

    Parameters
    ----------
    prompts : recordings, float32 [shape=(n,)] each
    count : number of samples of the result
    rng : generator that draws the pauses

    Returns
    -------
    float32 [shape=(count,)], cut off or padded with silence
    """
    speech = np.zeros(count, np.float32)
    start = 0
    for prompt in prompts:
        part = prompt[: count - start]
        speech[start : start + len(part)] = part
        start += len(part) + int(rng.uniform(0.2, 0.6) * SAMPLE_RATE)
        if start >= count:
            break
    return speech


def mix_at_ratio(speech: FloatArray, music: FloatArray, ratio: float) -> FloatArray:
    """Add music to speech at a level ratio, measured as RMS where the speech is active.

    Parameters
    ----------
    speech : float32 [shape=(n,)]
    music : float32 [shape=(n,)]
    ratio : level ratio of speech to music [dB]

    Returns
    -------
    float32 [shape=(n,)] with a peak of 0.7
    """
    active = active_samples(speech)
    gain = _rms(speech[active]) / max(_rms(music[active]), 1e-9) * 10 ** (-ratio / 20)
    return _normalized(speech + np.float32(gain) * music)


def begin_with_jingle(speech: FloatArray, music: FloatArray) -> FloatArray:
    """Return 5 s of music, then speech of the same level, with a peak of 0.7."""
    count = round(JINGLE_SECONDS * SAMPLE_RATE)
    gain = _rms(speech[active_samples(speech)]) / max(_rms(music[:count]), 1e-9)
    return _normalized(np.concatenate([np.float32(gain) * music[:count], speech[:-count]]))


def active_samples(speech: FloatArray) -> NDArray[np.bool_]:
    """Return a mask of the 20 ms frames within 40 dB of the loudest one, bool [shape=(n,)]."""
    frame = round(_FRAME_SECONDS * SAMPLE_RATE)
    padded = np.pad(speech, (0, -len(speech) % frame)).reshape(-1, frame)
    power = np.mean(padded.astype(np.float64) ** 2, axis=1)
    is_active = power > power.max() * 10 ** (-_ACTIVE_DECIBELS / 10)
    mask: NDArray[np.bool_] = np.repeat(is_active, frame)[: len(speech)]
    return mask


def _read(file: Path) -> FloatArray:
    samples, rate = read_middle(file, EXCERPT_SECONDS)
    return resample(samples, rate, SAMPLE_RATE)


def _rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def _normalized(samples: FloatArray) -> FloatArray:
    peak = max(float(np.abs(samples).max()), 1e-9)
    return (samples * (_PEAK / peak)).astype(np.float32)
