"""Test hypotheses about the cause of differences between a device's features and the reference.

Each hypothesis is a known error of ports, e.g. another window or a transposed table. It is tested
by computing the reference features with the same error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig
from pocketgenre.parity.audio import ParityAudio
from pocketgenre.parity.reference_features import (
    KINDS_WITH_VARIANTS,
    FeatureVariant,
    Table,
    compute_variant,
)
from pocketgenre.text import count_of

FloatArray = NDArray[np.float32]

_OTHER_RATES = (8_000, 16_000, 22_050, 32_000, 44_100, 48_000)  # Hz
_SHIFTS = (1, 2, 3, 4)  # frames
_DECODER_DELAYS = (529, 576, 1_024, 1_105, 1_152, 2_112)  # samples, at the file's rate
_PRE_EMPHASIS = 0.97


@dataclass(frozen=True)
class Hypothesis:
    """A possible error of the device.

    Attributes
    ----------
    code : stable name of the error
    detail : description of the error, one sentence
    compute : function that computes each segment's features with this error
    """

    code: str
    detail: str
    compute: Callable[[], list[Table]]


@dataclass(frozen=True)
class Cause:
    """A possible cause of differences.

    Attributes
    ----------
    code : code of a known cause, ``none`` or ``unknown``
    detail : one sentence
    maximum : largest difference that remains when the reference has the same cause
    mean : mean difference that remains
    """

    code: str
    detail: str
    maximum: float | None = None
    mean: float | None = None


def rank_hypotheses(audio: ParityAudio, features: NDArray[np.float64]) -> list[Cause]:
    """Evaluate all hypotheses and sort them by the mean difference that remains.

    Hypotheses that give another shape than the device's are left out.

    Parameters
    ----------
    audio : audio of the segments
    features : float64 [shape=(segments, ...)], the device's features
    """
    causes = []
    for hypothesis in hypotheses(audio):
        try:
            tables = hypothesis.compute()
        except AudioError:  # the error is impossible for this song, e.g. it ends too early
            continue
        tables = tables[: len(features)]
        if len(tables) < len(features) or any(t.shape != features.shape[1:] for t in tables):
            continue
        difference = np.abs(np.stack(tables) - features)
        if np.isnan(difference).all():  # all frames were shifted out
            continue
        maximum, mean = float(np.nanmax(difference)), float(np.nanmean(difference))
        causes.append(
            Cause(code=hypothesis.code, detail=hypothesis.detail, maximum=maximum, mean=mean)
        )
    return sorted(causes, key=lambda cause: cause.mean or 0.0)


def hypotheses(audio: ParityAudio) -> Iterator[Hypothesis]:
    """Generate all hypotheses for the kind of features.

    Errors inside the computation are known for MFCC and log-mel only. For other kinds of features
    there are only hypotheses about the audio and about the layout of the table.
    """
    if audio.feature_config.kind in KINDS_WITH_VARIANTS:
        for code, detail, variant in _variants(audio.feature_config):
            yield Hypothesis(code, detail, partial(_compute_variants, audio, variant))
    yield from _sample_hypotheses(audio)
    yield from _time_hypotheses(audio)
    yield from _table_hypotheses(audio)


def _compute(segments: list[FloatArray], feature_config: FeatureConfig) -> list[Table]:
    return [compute_features(s, feature_config).astype(np.float64) for s in segments]


def _compute_variants(audio: ParityAudio, variant: FeatureVariant) -> list[Table]:
    power = audio.max_mel_power if variant.range_of == "song" else 0.0
    return [
        compute_variant(samples, audio.feature_config, variant, power) for samples in audio.segments
    ]


def _variants(feature_config: FeatureConfig) -> Iterator[tuple[str, str, FeatureVariant]]:
    half = feature_config.n_fft // 2
    yield from (
        (
            "no-padding",
            f"The signal is not padded with {half} zeros at both ends.",
            FeatureVariant(padding="none"),
        ),
        (
            "reflect-padding",
            "The signal is padded by reflection instead of with zeros.",
            FeatureVariant(padding="reflect"),
        ),
        (
            "edge-padding",
            "The signal is padded with its first and last samples instead of with zeros.",
            FeatureVariant(padding="edge"),
        ),
        (
            "symmetric-window",
            "The Hann window is symmetric instead of periodic.",
            FeatureVariant(window="symmetric"),
        ),
        (
            "hamming-window",
            "The window is a Hamming window instead of a Hann window.",
            FeatureVariant(window="hamming"),
        ),
        (
            "no-window",
            "No window is applied to the frames.",
            FeatureVariant(window="rectangular"),
        ),
        (
            "magnitude",
            "The mel bands are sums of magnitudes instead of powers.",
            FeatureVariant(spectrum="magnitude"),
        ),
        (
            "htk-mel",
            "The mel scale is HTK's instead of Slaney's.",
            FeatureVariant(mel="htk"),
        ),
        (
            "htk-mel-without-norm",
            "The mel scale is HTK's instead of Slaney's, and the bands are not normalised.",
            FeatureVariant(mel="htk", slaney_norm=False),
        ),
        (
            "no-mel-norm",
            "The mel bands are not normalised to equal areas (Slaney's norm).",
            FeatureVariant(slaney_norm=False),
        ),
        (
            "natural-logarithm",
            "The logarithm is the natural one instead of base 10.",
            FeatureVariant(logarithm="natural"),
        ),
    )
    yield from (
        _log_mel_variants() if feature_config.kind == "log-mel" else _mfcc_variants(feature_config)
    )


def _log_mel_variants() -> Iterator[tuple[str, str, FeatureVariant]]:
    yield (
        "no-level",
        "The segment is not normalised to one level, as in the original musicnn.",
        FeatureVariant(normalise_level=False),
    )


def _mfcc_variants(feature_config: FeatureConfig) -> Iterator[tuple[str, str, FeatureVariant]]:
    top_db = f"{feature_config.top_db:g} dB"
    yield from (
        (
            "no-decibel",
            "The logarithm is not multiplied by ten.",
            FeatureVariant(logarithm="log10"),
        ),
        (
            "range-of-song",
            f"The range of {top_db} is relative to the song's peak instead of the segment's.",
            FeatureVariant(range_of="song"),
        ),
        (
            "no-range",
            f"The range is not limited to {top_db}.",
            FeatureVariant(range_of="none"),
        ),
        (
            "dct-norm",
            "The DCT is not orthonormal.",
            FeatureVariant(orthonormal=False),
        ),
        (
            "lifter",
            "The coefficients are liftered (22).",
            FeatureVariant(lifter=22),
        ),
    )


def _sample_hypotheses(audio: ParityAudio) -> Iterator[Hypothesis]:
    feature_config = audio.feature_config

    def with_change(change: Callable[[FloatArray], FloatArray]) -> list[Table]:
        return _compute([change(samples) for samples in audio.segments], feature_config)

    def decoded(
        sample_rate: int, to_mono: Callable[[FloatArray], FloatArray] | None = None
    ) -> list[Table]:
        return _compute(audio.decoded(sample_rate, to_mono), feature_config)

    if feature_config.kind != "log-mel":  # which does not depend on the scale
        for scale in (32_768.0, 32_767.0, 1 / 32_768.0):
            detail = "The samples range from -32768 to 32767 instead of from -1 to 1."
            if scale < 1:
                detail = "The samples are divided by 32768 although they range from -1 to 1."
            change = partial(np.multiply, np.float32(scale))
            yield Hypothesis("sample-scale", detail, partial(with_change, change))
    yield Hypothesis(
        "pre-emphasis", "The signal is pre-emphasised.", partial(with_change, _pre_emphasise)
    )
    for code, detail, to_mono in (
        ("left-channel", "Only the left channel is used instead of the mean of both.", _left),
        ("right-channel", "Only the right channel is used instead of the mean of both.", _right),
        ("channels-added", "The channels are added instead of averaged.", _sum),
    ):
        yield Hypothesis(code, detail, partial(decoded, feature_config.sample_rate, to_mono))
    for rate in _OTHER_RATES:
        if rate != feature_config.sample_rate:
            detail = (
                f"The audio has {rate} Hz and is not resampled to {feature_config.sample_rate} Hz."
            )
            yield Hypothesis("sample-rate", detail, partial(decoded, rate))


def _time_hypotheses(audio: ParityAudio) -> Iterator[Hypothesis]:
    def delayed(samples: int) -> list[Table]:
        return _compute(audio.delayed(samples), audio.feature_config)

    rate = audio.feature_config.sample_rate
    for source_rate in (44_100, 48_000):
        for delay in _DECODER_DELAYS:
            detail = f"The decoder's delay of {delay} samples is not removed."
            samples = round(delay * rate / source_rate)
            yield Hypothesis("decoder-delay", detail, partial(delayed, samples))
    if audio.feature_config.kind in KINDS_WITH_VARIANTS:
        yield Hypothesis(
            "cut-from-song",
            "The features are cut from the features of the whole song.",
            partial(_cut_from_song, audio),
        )


def _cut_from_song(audio: ParityAudio) -> list[Table]:
    """Compute frames on a grid of the whole song, which is padded at its ends only."""
    feature_config = audio.feature_config
    half, hop, size = (
        feature_config.n_fft // 2,
        feature_config.hop_length,
        feature_config.segment_samples,
    )
    # One more hop at the end: the last frame of the grid may begin up to a hop later.
    samples = np.pad(np.concatenate(list(audio.whole_song())), (half, half + hop))
    variant = FeatureVariant(padding="none", range_of="song")
    tables = []
    for number in range(audio.first, audio.first + len(audio.segments)):
        start = round(number * size / hop) * hop
        needed = samples[start : start + (feature_config.n_frames - 1) * hop + feature_config.n_fft]
        tables.append(compute_variant(needed, feature_config, variant, audio.max_mel_power))
    return tables


def _table_hypotheses(audio: ParityAudio) -> Iterator[Hypothesis]:
    feature_config = audio.feature_config

    def with_change(change: Callable[[Table], Table]) -> list[Table]:
        return [change(table) for table in _compute(audio.segments, feature_config)]

    yield Hypothesis(
        "transposed",
        "The table is transposed: its rows are coefficients and its columns are frames.",
        partial(with_change, np.transpose),
    )
    yield Hypothesis("flipped-sign", "All signs are flipped.", partial(with_change, np.negative))
    for shift in _SHIFTS:
        for frames, direction in ((shift, "late"), (-shift, "early")):
            detail = f"The frames are {count_of(shift, 'frame')} too {direction}."
            yield Hypothesis(
                "shifted-frames", detail, partial(with_change, partial(_shift, frames))
            )
    if feature_config.kind == "mfcc":
        detail = "Coefficient 0 is missing: the first coefficient is 1."
        yield Hypothesis("no-coefficient-0", detail, partial(with_change, lambda t: t[:, 1:]))
        one_more = replace(feature_config, n_mfcc=feature_config.n_mfcc + 1)
        yield Hypothesis(
            "no-coefficient-0",
            detail,
            lambda: [table[:, 1:] for table in _compute(audio.segments, one_more)],
        )


def _shift(frames: int, table: Table) -> Table:
    """Move the frames to later places (negative: earlier); unknown frames become NaN."""
    shifted = np.full_like(table, np.nan)
    if frames > 0:
        shifted[frames:] = table[:-frames]
    else:
        shifted[:frames] = table[-frames:]
    return shifted


def _pre_emphasise(samples: FloatArray) -> FloatArray:
    return np.append(samples[:1], samples[1:] - np.float32(_PRE_EMPHASIS) * samples[:-1])


def _left(block: FloatArray) -> FloatArray:
    return block[:, 0]


def _right(block: FloatArray) -> FloatArray:
    return block[:, -1]


def _sum(block: FloatArray) -> FloatArray:
    total: FloatArray = block.sum(axis=1, dtype=np.float32)
    return total
