"""Classify songs: the public interface of the library."""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import (
    AudioSource,
    DamagedAudioError,
    SongStream,
    open_stream,
)
from pocketgenre.audio.duration import probe_duration
from pocketgenre.audio.seeking import CannotSeekError, seek_segments, select_segments
from pocketgenre.audio.segments import cut_segments
from pocketgenre.audio.silence import level, silence_threshold
from pocketgenre.constants import SILENCE_DECIBELS
from pocketgenre.errors import AudioError
from pocketgenre.inference import InferenceJob, InferenceSetup, timeout_for
from pocketgenre.jobs.pool import JobFailure, map_jobs, usable_cores
from pocketgenre.library.discovery import FolderListing, list_songs
from pocketgenre.models.model_card import ModelCard, read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.prediction import (
    DEFAULT_LABELS,
    LabelConfig,
    SongAnalysis,
    SongFeatures,
    SongPrediction,
    VoteRule,
    predict_song,
)

# Decoder and feature extraction compete for the processor's cache. Alternating between them once a
# minute of music, not once a segment, makes a scan a few percent faster and takes 5 MB.
_BATCH_SEGMENTS = 20

FloatArray = NDArray[np.float32]
Song = AudioSource
"""A path, a seekable binary file, or samples [shape=(n,) or (n, channels)] with their rate [Hz]."""


class GenreClassifier:
    """Genre classifier for songs.

    Threads may share it, but their predictions take turns.

    Parameters
    ----------
    model : name of a pretrained model (``best`` or ``standard``), or path of a ``.tflite`` file
        with its model card (``.json``) next to it
    segments : number of segments to classify, spread over the song; 0 for all
    vote : vote rule, ``majority`` or ``probability``
    min_confidence : confidence below which the genre is ``uncertain``, in [0, 1]; by default the
        threshold of the model
    min_margin : margin below which the genre is ``uncertain``, in [-1, 1]
    threads : number of threads of the TFLite runtime

    Raises
    ------
    ModelError
        if the model can't be found, read or run.
    ValueError
        if an option is out of range.

    Examples
    --------
    >>> from pocketgenre import GenreClassifier
    >>> classifier = GenreClassifier("best")
    >>> song = classifier.classify("song.mp3")  # doctest: +SKIP
    >>> print(song.genre, song.confidence)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        segments: int = 0,
        vote: VoteRule = "majority",
        min_confidence: float | None = None,
        min_margin: float = -1.0,
        threads: int = 1,
    ) -> None:
        segments, threads = operator.index(segments), operator.index(threads)
        if segments < 0 or threads < 1:
            raise ValueError("segments must be at least 0, and threads at least 1")
        content, card = read_model(find_model(os.fspath(model)))
        self.label_config = LabelConfig(vote, min_confidence, min_margin)
        self._initialize(content, card, segments, threads)

    @classmethod
    def from_bytes(
        cls,
        model: bytes,
        card: ModelCard,
        label_config: LabelConfig = DEFAULT_LABELS,
        *,
        segments: int = 0,
        threads: int = 1,
        features_base: bytes | None = None,
    ) -> Self:
        """Create a classifier from the content of a ``.tflite`` file and its model card.

        With ``features_base``, which is :attr:`OutputLayer.base
        <pocketgenre.models.output_layer.OutputLayer.base>` of the model, analyses have features.

        Raises
        ------
        ModelError
            if the two don't match, or no runtime can run the model.
        """
        classifier = cls.__new__(cls)
        classifier._initialize(model, card, segments, threads, features_base)
        classifier.label_config = label_config
        return classifier

    def _initialize(
        self,
        model: bytes,
        card: ModelCard,
        segments: int,
        threads: int,
        features_base: bytes | None = None,
    ) -> None:
        self.model = TFLiteModel(model, card, threads=threads, with_features=bool(features_base))
        self._features_base = features_base
        self.segments = segments
        self._content = model

    @property
    def card(self) -> ModelCard:
        """Model card of the model."""
        return self.model.card

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres that the model distinguishes."""
        return self.card.labels

    def classify(self, song: Song) -> SongPrediction:
        """Classify a song.

        If a file is damaged after its first segment, the part before the damage is classified.

        Parameters
        ----------
        song : path (``~`` is expanded), seekable binary file, or (samples, sample_rate) with
            float samples [shape=(n,) or (n, channels)] in [-1, 1]

        Raises
        ------
        AudioError
            if the file can't be read or decoded, is shorter than 1 s, or holds only silence; the
            message begins with the path, if there is one.
        TypeError
            if the song is of another type, or its samples are not floats of that shape.
        """
        if isinstance(song, str | os.PathLike):
            song = os.path.expanduser(song)  # noqa: PTH111  # Path.expanduser raises for an unknown user
        try:
            analysis = self.analyze(song)
        except AudioError as error:
            if isinstance(song, str):
                error.args = (f"{song}: {error}",)
            raise
        return self._predict(analysis, self.label_config, are_consecutive=not self.segments)

    def classify_segments(
        self,
        segments: Iterable[FloatArray],
        label_config: LabelConfig | None = None,
        stream: SongStream | None = None,
    ) -> SongPrediction:
        """Classify a song from its consecutive segments.

        Parameters
        ----------
        segments : iterable of float32 [shape=(segment_samples,)]
        label_config : vote rule and thresholds; by default the classifier's
        stream : the stream that the segments are cut from, which knows the length of the song

        Raises
        ------
        AudioError
            if there is no segment, or only silence.
        """
        analysis = self.analyze_segments(segments, stream)
        return self._predict(analysis, label_config or self.label_config, are_consecutive=True)

    def classify_folder(
        self,
        folder: str | os.PathLike[str],
        *,
        workers: int | None = None,
        on_error: Callable[[Path, AudioError], object] | None = None,
    ) -> Iterator[tuple[Path, SongPrediction]]:
        """Classify every song below a folder, in worker processes.

        If a file crashes or blocks a worker, the worker is replaced and only that file is skipped.

        Parameters
        ----------
        folder : folder with music; ``~`` is expanded
        workers : number of processes, by default one per core; 0 to run in this process
        on_error : called with each file that can't be classified and each folder that can't be
            listed; by default a warning is logged

        Yields
        ------
        path, prediction
            in the order of completion, while other files are still being classified

        Raises
        ------
        PocketGenreError
            if the folder can't be listed (at once), or no worker can be started.
        ValueError
            if the number of workers is negative.
        """
        count = usable_cores() if workers is None else operator.index(workers)
        if count < 0:
            raise ValueError("workers must be at least 0")
        listing = list_songs(Path(folder).expanduser())
        return self._classify_files(listing, count, on_error or _log_error)

    def _classify_files(
        self, listing: FolderListing, workers: int, on_error: Callable[[Path, AudioError], object]
    ) -> Iterator[tuple[Path, SongPrediction]]:
        for unlistable in listing.unlistable:
            on_error(Path(unlistable), AudioError("the folder cannot be listed"))
        jobs = [
            InferenceJob(file.path, self.segments, timeout_for(file.size)) for file in listing.files
        ]
        setup = InferenceSetup(self._content, self.card)
        with closing(map_jobs(jobs, setup, workers)) as results:
            for job, result in results:
                path = Path(job.path)
                if isinstance(result, JobFailure):
                    on_error(path, AudioError(result.reason))
                elif result.analysis is None:
                    on_error(path, AudioError(result.error))
                else:
                    table = result.analysis.probabilities.astype(np.float32)
                    analysis = replace(result.analysis, probabilities=table)
                    yield path, self._predict(analysis, self.label_config, not self.segments)

    def analyze(self, song: Song, segments: int | None = None) -> SongAnalysis:
        """Predict the label probabilities of each segment of a song.

        Parameters
        ----------
        song : as for :meth:`classify`
        segments : number of segments, spread over the song; 0 for all, None for the classifier's

        Returns
        -------
        SongAnalysis
            probabilities are rounded to half precision (float16), which the catalogue stores, so
            that labels predicted now and labels predicted from the catalogue are equal

        Raises
        ------
        AudioError, TypeError
            as :meth:`classify`.
        """
        config = self.card.feature_config
        count = self.segments if segments is None else segments
        if not count:
            with open_stream(song, config.sample_rate) as stream:
                return self.analyze_segments(cut_segments(stream.blocks, config), stream)
        if isinstance(song, tuple):
            return self.analyze_segments(select_segments(song, config, count))
        duration = probe_duration(song)
        try:
            analysis = self.analyze_segments(seek_segments(song, config, count))
        except CannotSeekError:
            analysis = self.analyze_segments(select_segments(song, config, count))
        return replace(analysis, duration_seconds=duration)

    def analyze_segments(
        self, segments: Iterable[FloatArray], stream: SongStream | None = None
    ) -> SongAnalysis:
        """Predict the label probabilities of segments until they end or decoding fails.

        Parameters
        ----------
        segments : iterable of float32 [shape=(segment_samples,)]
        stream : the stream that the segments are cut from, which knows the length of the song

        Raises
        ------
        AudioError
            if there is no segment, or only silence.
        """
        rows: list[FloatArray] = []
        features: list[NDArray[np.int8] | None] = []
        levels: list[float] = []
        silent_row = np.zeros(len(self.labels), np.float32)
        is_partial = False
        try:
            for batch in _batches(segments):
                for segment in batch:
                    levels.append(level(segment))
                    is_silent = levels[-1] < silence_threshold(levels)
                    row, row_features = (
                        (silent_row, None)
                        if is_silent
                        else self.model.predict_with_features(segment)
                    )
                    rows.append(row)
                    features.append(row_features)
        except DamagedAudioError:
            if not rows:
                raise
            is_partial = True
        if not rows:
            raise AudioError("it holds no audio")
        if max(levels) < SILENCE_DECIBELS:
            raise AudioError("it holds only silence")
        with np.errstate(under="ignore"):  # the caller's setting may raise
            table = np.stack(rows).astype(np.float16).astype(np.float32)
        table[np.array(levels) < silence_threshold(levels)] = 0.0
        analysis = SongAnalysis(table, features=self._song_features(features, table))
        if stream:
            return replace(
                analysis,
                analyzed_seconds=stream.decoded_seconds,
                duration_seconds=stream.duration_seconds,
                is_partial=is_partial or stream.damage is not None,
            )
        seconds = len(rows) * self.card.feature_config.segment_seconds
        return replace(analysis, analyzed_seconds=seconds, is_partial=is_partial)

    def _song_features(
        self, rows: list[NDArray[np.int8] | None], probabilities: FloatArray
    ) -> SongFeatures | None:
        computed = next((row for row in rows if row is not None), None)
        if self._features_base is None or computed is None:
            return None
        silent = np.zeros_like(computed)
        table = np.stack([silent if row is None else row for row in rows])
        table[~probabilities.any(axis=1)] = 0
        return SongFeatures(self._features_base, table)

    def _predict(
        self, analysis: SongAnalysis, label_config: LabelConfig, are_consecutive: bool
    ) -> SongPrediction:
        seconds = self.card.feature_config.segment_seconds if are_consecutive else 0.0
        return predict_song(analysis, self.labels, label_config, seconds, self.card.confidence)


def _batches(segments: Iterable[FloatArray]) -> Iterator[list[FloatArray]]:
    """Group segments into batches; the last batch is yielded before an error is raised."""
    batch: list[FloatArray] = []
    try:
        for segment in segments:
            batch.append(segment)
            if len(batch) == _BATCH_SEGMENTS:
                yield batch
                batch = []
    except AudioError:
        yield batch
        raise
    yield batch


def _log_error(path: Path, error: AudioError) -> None:
    import logging  # only where a file fails

    logging.getLogger("pocketgenre").warning("%s: %s", path, error)
