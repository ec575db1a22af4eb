"""Mistakes that ports of the front end are known for, made here to see whether they explain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.server.parity.audio import ParityAudio
from pocketgenre.server.parity.reference_features import OURS, Recipe, Table, compute

FloatArray = NDArray[np.float32]

_OTHER_RATES = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000)  # Hz
_SHIFTS = (1, 2, 3, 4)  # frames
_DECODER_DELAYS = (529, 576, 1_024, 1_105, 1_152, 2_112)  # samples, at the file's rate
_PRE_EMPHASIS = 0.97


@dataclass(frozen=True)
class Mistake:
    """A mistake.

    Attributes
    ----------
    code : its name, which stays
    detail : what the device does, a sentence
    """

    code: str
    detail: str


Attempt = tuple[Mistake, Callable[[], list[Table]]]
"""A mistake, and what computes the segments' features with it."""


def attempts(excerpt: ParityAudio) -> Iterator[Attempt]:
    """Every mistake that the kind of features can have, with what makes it."""
    for mistake, recipe in _recipes(excerpt.feature_config):
        yield mistake, partial(_by_recipe, excerpt, recipe)
    yield from _of_samples(excerpt)
    yield from _of_time(excerpt)
    yield from _of_tables(excerpt)


def _by_recipe(excerpt: ParityAudio, recipe: Recipe) -> list[Table]:
    power = excerpt.power if recipe.range_of == "song" else 0.0
    return [compute(samples, excerpt.feature_config, recipe, power) for samples in excerpt.segments]


def _recipes(feature_config: FeatureConfig) -> Iterator[tuple[Mistake, Recipe]]:
    half = feature_config.n_fft // 2
    yield (
        Mistake("no-padding", f"The signal is not padded by {half} zeros at both ends."),
        Recipe(padding="none"),
    )
    yield (
        Mistake("reflect-padding", "The signal's ends are mirrored, not padded with zeros."),
        Recipe(padding="reflect"),
    )
    yield (
        Mistake("edge-padding", "The first and last samples are repeated, not padded with zeros."),
        Recipe(padding="edge"),
    )
    yield (
        Mistake("symmetric-window", "The Hann window is symmetric, not periodic."),
        Recipe(window="symmetric"),
    )
    yield (
        Mistake("hamming-window", "The window is Hamming's, not Hann's."),
        Recipe(window="hamming"),
    )
    yield Mistake("no-window", "No window is applied to the frames."), Recipe(window="rectangular")
    yield (
        Mistake("magnitude", "The mel bands add up magnitudes, not their squares."),
        Recipe(spectrum="magnitude"),
    )
    yield (
        Mistake("htk-mel", "The mel scale is HTK's, not Slaney's."),
        Recipe(mel="htk"),
    )
    yield (
        Mistake("htk-mel-without-norm", "The mel bands are HTK's, of equal heights."),
        Recipe(mel="htk", area=False),
    )
    yield (
        Mistake("no-mel-norm", "The mel bands have equal heights, not Slaney's equal areas."),
        Recipe(area=False),
    )
    yield (
        Mistake("natural-logarithm", "The logarithm is natural, not to the base of ten."),
        Recipe(logarithm="natural"),
    )
    if feature_config.kind == "log-mel":
        yield (
            Mistake("no-level", "The segment is not brought to one level: that is plain musicnn."),
            Recipe(levelled=False),
        )
        return
    yield (
        Mistake("no-decibel", "The logarithm is not multiplied by ten."),
        Recipe(logarithm="log10"),
    )
    top = f"{feature_config.top_db:g} dB"
    yield (
        Mistake(
            "range-of-song", f"The range of {top} begins at the song's peak, not the segment's."
        ),
        Recipe(range_of="song"),
    )
    yield Mistake("no-range", f"The range is not limited to {top}."), Recipe(range_of="none")
    yield Mistake("dct-norm", "The DCT is not orthonormal."), Recipe(orthonormal=False)
    yield Mistake("lifter", "The coefficients are liftered (22)."), Recipe(lifter=22)


def _of_samples(excerpt: ParityAudio) -> Iterator[Attempt]:
    def changed(change: Callable[[FloatArray], FloatArray]) -> list[Table]:
        return [compute(change(samples), excerpt.feature_config) for samples in excerpt.segments]

    if excerpt.feature_config.kind == "mfcc":  # which log-mel's level makes good
        for scale in (32_768.0, 32_767.0, 1 / 32_768.0):
            detail = "Samples are from -32768 to 32767, not from -1 to 1."
            if scale < 1:
                detail = "Samples are divided by 32768 though they are from -1 to 1."
            yield (
                Mistake("sample-scale", detail),
                partial(changed, partial(np.multiply, np.float32(scale))),
            )
    yield Mistake("pre-emphasis", "The signal is pre-emphasised."), partial(changed, _emphasised)
    for code, detail, to_mono in (
        ("left-channel", "The left channel is taken, not the mean of both.", _left),
        ("right-channel", "The right channel is taken, not the mean of both.", _right),
        ("channels-added", "The channels are added, not averaged.", _sum),
    ):
        yield (
            Mistake(code, detail),
            partial(_heard, excerpt, excerpt.feature_config.sample_rate, to_mono),
        )
    for rate in _OTHER_RATES:
        if rate != excerpt.feature_config.sample_rate:
            right = excerpt.feature_config.sample_rate
            detail = f"The audio is at {rate} Hz and was not resampled to {right} Hz."
            yield Mistake("sample-rate", detail), partial(_heard, excerpt, rate)


def _heard(
    excerpt: ParityAudio,
    rate: int,
    to_mono: Callable[[FloatArray], FloatArray] | None = None,
) -> list[Table]:
    return [compute(samples, excerpt.feature_config) for samples in excerpt.heard(rate, to_mono)]


def _late(excerpt: ParityAudio, delay: int) -> list[Table]:
    return [compute(samples, excerpt.feature_config) for samples in excerpt.late(delay)]


def _of_time(excerpt: ParityAudio) -> Iterator[Attempt]:
    rate = excerpt.feature_config.sample_rate
    for source in (44_100, 48_000):
        for delay in _DECODER_DELAYS:
            samples = round(delay * rate / source)
            detail = f"The decoder's delay of {delay} samples is left before the song."
            yield Mistake("decoder-delay", detail), partial(_late, excerpt, samples)
    yield (
        Mistake("cut-from-song", "The features are those of the whole song, cut afterwards."),
        partial(_cut_from_song, excerpt),
    )


def _cut_from_song(excerpt: ParityAudio) -> list[Table]:
    """Frames of the song's own grid, padded at the song's ends alone."""
    feature_config = excerpt.feature_config
    half, hop, size = (
        feature_config.n_fft // 2,
        feature_config.hop_length,
        feature_config.segment_samples,
    )
    blocks = excerpt.recording.segments(feature_config)
    # A hop more at the end, since the grid's last frame may begin that much later.
    samples = np.pad(np.concatenate(list(blocks)), (half, half + hop))
    tables = []
    for number in range(excerpt.first, excerpt.first + len(excerpt.segments)):
        start = round(number * size / hop) * hop
        needed = samples[start : start + (feature_config.n_frames - 1) * hop + feature_config.n_fft]
        recipe = Recipe(padding="none", range_of="song")
        tables.append(compute(needed, feature_config, recipe, excerpt.power))
    return tables


def _of_tables(excerpt: ParityAudio) -> Iterator[Attempt]:
    def changed(change: Callable[[Table], Table]) -> list[Table]:
        segments = excerpt.segments
        ours = [compute_features(samples, excerpt.feature_config) for samples in segments]
        return [change(table.astype(np.float64)) for table in ours]

    yield (
        Mistake("transposed", "The table is transposed: coefficients in rows, frames in columns."),
        partial(changed, np.transpose),
    )
    yield Mistake("flipped-sign", "All signs are flipped."), partial(changed, np.negative)
    for shift in _SHIFTS:
        for direction, word in ((shift, "late"), (-shift, "early")):
            detail = f"The frames come {shift} too {word}."
            yield (
                Mistake("shifted-frames", detail),
                partial(changed, partial(_shifted, direction)),
            )
    if excerpt.feature_config.kind == "mfcc":
        missing = "Coefficient 0 is left out: the first is 1."
        yield Mistake("no-coefficient-0", missing), partial(changed, lambda t: t[:, 1:])
        more = FeatureConfig(
            **{**vars(excerpt.feature_config), "n_mfcc": excerpt.feature_config.n_mfcc + 1}
        )
        yield (
            Mistake("no-coefficient-0", missing),
            lambda: [compute(samples, more, OURS)[:, 1:] for samples in excerpt.segments],
        )


def _shifted(by: int, table: Table) -> Table:
    """Frames moved to later ones (or earlier, if negative); those unknown are not numbers."""
    moved = np.full_like(table, np.nan)
    if by > 0:
        moved[by:] = table[:-by]
    else:
        moved[:by] = table[-by:]
    return moved


def _emphasised(samples: FloatArray) -> FloatArray:
    return np.append(samples[:1], samples[1:] - np.float32(_PRE_EMPHASIS) * samples[:-1])


def _left(block: FloatArray) -> FloatArray:
    return block[:, 0]


def _right(block: FloatArray) -> FloatArray:
    return block[:, -1]


def _sum(block: FloatArray) -> FloatArray:
    total: FloatArray = block.sum(axis=1, dtype=np.float32)
    return total


def explain(
    excerpt: ParityAudio, theirs: NDArray[np.float64]
) -> Iterator[tuple[Mistake, float, float]]:
    """What is left of the differences with each mistake made here.

    Parameters
    ----------
    theirs : float64 [shape=(segments, ...)]

    Yields
    ------
    the mistake, the largest difference and the mean one; only of those that give such a shape
    """
    for mistake, make in attempts(excerpt):
        try:
            tables = make()
        except AudioError:  # the song doesn't have that
            continue
        tables = tables[: len(theirs)]
        if len(tables) < len(theirs) or any(t.shape != theirs.shape[1:] for t in tables):
            continue
        difference = np.abs(np.stack(tables) - theirs)
        yield mistake, float(np.nanmax(difference)), float(np.nanmean(difference))
