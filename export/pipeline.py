"""Export a run: convert its network to TFLite files, check them, and report the result."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pocketgenre import __version__
from pocketgenre.export.cards import accepted_parity, accuracy_record, build_card, training_record
from pocketgenre.export.convert import NetworkParts, convert
from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.export.evaluate_files import (
    ConvertedFile,
    FileEvaluation,
    evaluate_files,
    read_segments,
)
from pocketgenre.export.export_report import ExportReport
from pocketgenre.export.feature_graph import FeatureGraph
from pocketgenre.export.layer_errors import layer_errors
from pocketgenre.export.metadata import with_metadata
from pocketgenre.export.operations import op_names
from pocketgenre.export.parity_checks import (
    MIN_SEGMENT_AGREEMENT,
    FeatureParity,
    LabelParity,
    compare_features,
    compare_labels,
    highest_share,
)
from pocketgenre.export.representative_data import draw_segments, least_extreme_half
from pocketgenre.export.runtime_results import benchmark_runtimes
from pocketgenre.export.variants import WAVEFORM, Variant
from pocketgenre.features import compute_features
from pocketgenre.features.config import feature_kind
from pocketgenre.models.model_card import ModelCard, model_hash
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.text import count_of
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.errors import DataError, ParityError
from pocketgenre.training.evaluation.calibration import fit_temperature
from pocketgenre.training.evaluation.confidence_fit import fit_confidence
from pocketgenre.training.evaluation.run_evaluation import load_heldout
from pocketgenre.training.models.checkpoints import load_network
from pocketgenre.training.models.keras_trainer import predict
from pocketgenre.training.runs import HeldOutPredictions, Run

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SAMPLE = 300
"""Held-out segments on which each file is checked before the audio of all songs is decoded."""


@dataclass(frozen=True)
class Export:
    """TFLite file, its model card and its report."""

    model: bytes
    card: ModelCard
    report: ExportReport


@dataclass(frozen=True)
class Exporter:
    """Export the network of one run.

    Attributes
    ----------
    run : trained run
    dataset : data set of the run, with its audio
    representative : number of representative segments
    other_python : Python of another environment, whose TFLite runtime is benchmarked as well
    licence : SPDX expression for the card; None if unspecified
    accept_parity : True to go on with a file that misses the limits, and to write that on its card
    explain : True to measure the error of each operation of a file that misses the limits

    Raises
    ------
    DataError
        if the data set is not the one that the run was trained on, or has changed.
    """

    run: Run
    dataset: Dataset
    representative: int = 200
    other_python: Path | None = None
    licence: str | None = None
    accept_parity: bool = False
    explain: bool = True

    def __post_init__(self) -> None:
        _ = self._held_out  # fails now, not after the conversion, if the data set does not fit

    def count_steps(self, variants: Sequence[Variant]) -> int:
        """Count the calls of ``on_step`` that :meth:`export` will make."""
        networks = 1 + len(self._held_out)
        return len(variants) * networks + len(self.dataset.songs)

    def export(
        self, variants: Sequence[Variant], on_step: Callable[[], None]
    ) -> list[Export | DataError]:
        """Convert the run's network to each variant, and check the files.

        The networks that were evaluated on held-out songs (one per fold) are converted with the
        same settings and evaluated on these songs. The model card reports their accuracy.

        Parameters
        ----------
        variants : variants of the files
        on_step : function called after each conversion and each song, for a progress bar

        Returns
        -------
        list
            the export of each variant, or the reason why it could not be converted

        Raises
        ------
        DataError
            if the audio is missing or has changed.
        """
        model = self._load_network(self.run.folder / "model.keras")
        converted = [self._convert_all(model, variant, on_step) for variant in variants]
        files = [file for group in converted if isinstance(group, list) for file in group]
        graph = None
        if any(variant.input == WAVEFORM for variant in variants):
            graph = FeatureGraph(self.run.feature_config)
        evaluation = evaluate_files(self.dataset, files, graph, on_step)
        probabilities = iter(evaluation.probabilities)
        features = self._feature_parity(evaluation, graph)
        final = predict(model, self.dataset, self._all_segments)
        exports: list[Export | DataError] = []
        for variant, group in zip(variants, converted, strict=True):
            if isinstance(group, DataError):
                exports.append(group)
                continue
            of_files = [next(probabilities) for _ in group]
            labels = self._label_parity(final, of_files)
            confidence = fit_confidence(
                self.dataset, self._held_out_segments, np.concatenate(of_files[1:])
            )
            file = group[0]
            card = replace(
                file.card,
                accuracy=accuracy_record(self.run, labels[1], confidence),
                confidence=confidence.model if confidence else None,
            )
            report = self._report(variant, file.model, card, features, labels)
            if not report.holds and self.accept_parity:
                card = replace(card, accuracy={**card.accuracy, **accepted_parity(labels[1])})
            if not report.holds and self.explain:
                representative, _ = self._representative_features(model, self._all_segments)
                report = replace(report, layers=layer_errors(model, representative, variant))
            exports.append(Export(file.model, card, report))
        return exports

    @property
    def _all_segments(self) -> IntArray:
        return np.arange(len(self.dataset.segment_songs))

    @cached_property
    def _held_out(self) -> list[HeldOutPredictions]:
        return load_heldout(self.run, self.dataset)

    @property
    def _held_out_segments(self) -> IntArray:
        return np.concatenate([part.segments for part in self._held_out])

    @cached_property
    def _training(self) -> dict[str, Any]:
        return training_record(self.run, self.dataset, self._temperature)

    @cached_property
    def _temperature(self) -> float:
        probabilities = np.concatenate([part.probabilities for part in self._held_out])
        targets = self.dataset.segment_targets[self._held_out_segments]
        return fit_temperature(probabilities, targets)

    def _load_network(self, path: Path) -> keras.Model:
        """Load a trained network and divide its logits by the run's temperature."""
        model = load_network(path)
        head = model.layers[-1]
        head.set_weights([weights / self._temperature for weights in head.get_weights()])
        return model

    def _convert_all(
        self, model: keras.Model, variant: Variant, on_step: Callable[[], None]
    ) -> list[ConvertedFile] | DataError:
        """Convert the final network and the networks with held-out songs."""
        all_segments = self._all_segments
        try:
            files = [self._convert(model, all_segments, all_segments, variant)]
            on_step()
            for part in self._held_out:
                network = self._load_network(part.model)
                train = np.setdiff1d(all_segments, part.segments)
                files.append(self._convert(network, train, part.segments, variant))
                self._check_sample(files[-1], part, variant)
                on_step()
        except DataError as error:
            return error
        return files

    def _check_sample(
        self, file: ConvertedFile, part: HeldOutPredictions, variant: Variant
    ) -> None:
        """Compare a file with Keras on some of its held-out segments.

        Thus, a bad file is refused before the audio of all songs is decoded.

        Raises
        ------
        ParityError
            if the file misses the limit.
        """
        if self.accept_parity:
            return
        drawn = draw_segments(self.dataset, part.segments, SAMPLE, self.run.config.seed)
        if variant.input == WAVEFORM:
            drawn, inputs = self._decode_sample(drawn, part.segments)
        else:
            inputs = self.dataset.features[drawn]
        labels = TFLiteModel(file.model, file.card).predict(inputs)
        keras_labels = part.probabilities[np.isin(part.segments, drawn)].argmax(axis=1)
        equal = int((labels.argmax(axis=1) == keras_labels).sum())
        if highest_share(equal, len(drawn)) < MIN_SEGMENT_AGREEMENT:
            raise ParityError(
                f"{variant.quantization} keeps the label of {equal} of"
                f" {count_of(len(drawn), 'held-out segment')}, and {MIN_SEGMENT_AGREEMENT:.0%} are"
                " required."
            )

    def _decode_sample(self, drawn: IntArray, held_out: IntArray) -> tuple[IntArray, FloatArray]:
        """Decode songs of drawn segments, until their held-out segments are as many.

        Returns
        -------
        segments : int64 [shape=(n,)]
            positions in the data set, ascending
        samples : float32 [shape=(n, segment_samples)]
        """
        counts = self.dataset.segment_counts
        starts = np.cumsum(counts) - counts
        rng = np.random.default_rng(self.run.config.seed)
        samples: dict[int, FloatArray] = {}
        for song in rng.permutation(np.unique(self.dataset.segment_songs[drawn])):
            decoded = read_segments(self.dataset, self.dataset.songs[song], counts[song])
            samples |= dict(enumerate(decoded, start=int(starts[song])))
            segments = np.intersect1d(list(samples), held_out)
            if len(segments) >= len(drawn):
                break
        return segments, np.stack([samples[int(segment)] for segment in segments])

    def _convert(
        self, model: keras.Model, train: IntArray, test: IntArray, variant: Variant
    ) -> ConvertedFile:
        representative, candidates = self._representative_features(model, train)
        tflite = convert(model, self.run.feature_config, representative, variant, candidates)
        card = build_card(self.run, model, variant, self._training, self.licence)
        tflite = with_metadata(tflite, variant, card, __version__)
        return ConvertedFile(tflite, replace(card, sha256=model_hash(tflite)), test)

    def _representative_features(
        self, model: keras.Model, train: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the least extreme half of the drawn segments' features, and all of them.

        If there are fewer segments than to draw, all are representative: half of a small data set
        has so narrow a range that the logits of certain segments are clipped, and the correction
        of the logits then moves all others. On 254 segments of four genres, the error of
        ann-regularized's logits was 17 dB below them with half of the segments, and 40 dB with all.

        All segments are from songs with a genre. Recordings that are not music have values beyond
        the range of these segments. These values are clipped, which changes few labels; a wider
        range would make the quantization of music coarser.
        """
        drawn = draw_segments(self.dataset, train, 2 * self.representative, self.run.config.seed)
        features, genres = self.dataset.features[drawn], self.dataset.segment_targets[drawn]
        if len(drawn) < 2 * self.representative:
            return features, features
        parts = NetworkParts.from_model(model)
        half = least_extreme_half(parts.core, parts.standardize(features), genres)
        return features[half], features

    def _feature_parity(
        self, evaluation: FileEvaluation, graph: FeatureGraph | None
    ) -> dict[str, FeatureParity]:
        """Compare NumPy and graph features with the reference: edge cases and all segments."""
        config = self.run.feature_config
        kind = feature_kind(config.kind)
        compute_reference = kind.load_reference()
        difficult = difficult_segments(config)
        names, samples = list(difficult), list(difficult.values())
        difficult_reference = np.stack([compute_reference(s, config) for s in samples])
        reference = np.asarray(self.dataset.features)
        song_names = [self.dataset.songs[song].name for song in self.dataset.segment_songs]
        implementations: dict[str, tuple[Callable[[FloatArray], FloatArray], FloatArray]] = {
            "NumPy": (lambda s: compute_features(s, config), evaluation.numpy_features)
        }
        if graph and evaluation.graph_features is not None:
            implementations["in the graph"] = (graph, evaluation.graph_features)
        parity = {}
        for name, (compute, features) in implementations.items():
            computed = np.stack([compute(s) for s in samples])
            parity[f"{name}, difficult ones"] = compare_features(
                names, computed, difficult_reference, kind.tolerance
            )
            parity[f"{name}, all of the data set"] = compare_features(
                song_names, features, reference, kind.tolerance
            )
        return parity

    def _label_parity(
        self, final: FloatArray, file_probabilities: list[FloatArray]
    ) -> list[LabelParity]:
        """Compare the files with Keras: the final network on all songs, others on held-out songs.

        Parameters
        ----------
        final : float32 [shape=(segments, genres)]
            probabilities of the final network in Keras
        file_probabilities : float32 [shape=(n, genres)] for each file
        """
        held_out = self._held_out
        networks = f"{len(held_out)} fold networks" if self.run.config.folds else "final network"
        protocol = PROTOCOLS[self.run.config.protocol]
        return [
            compare_labels(
                "final network, all songs",
                self.dataset,
                self._all_segments,
                final,
                file_probabilities[0],
            ),
            compare_labels(
                f"{networks}, held-out songs ({protocol})",
                self.dataset,
                self._held_out_segments,
                np.concatenate([part.probabilities for part in held_out]),
                np.concatenate(file_probabilities[1:]),
            ),
        ]

    def _report(
        self,
        variant: Variant,
        tflite: bytes,
        card: ModelCard,
        features: dict[str, FeatureParity],
        labels: list[LabelParity],
    ) -> ExportReport:
        segments, drawn = len(self._all_segments), 2 * self.representative
        calibration = (
            f"all {segments} segments"
            if segments < drawn
            else f"the least extreme half of {drawn} segments, drawn evenly by genre, seed"
            f" {self.run.config.seed}"
        )
        pythons = [Path(sys.executable), *([self.other_python] if self.other_python else [])]
        return ExportReport(
            model=card.name,
            sha256=card.sha256,
            size=len(tflite),
            variant=variant,
            ops=op_names(tflite),
            calibration=calibration,
            runtimes=benchmark_runtimes(tflite, card, pythons),
            features={
                name: parity
                for name, parity in features.items()
                if variant.input == WAVEFORM or "graph" not in name
            },
            labels=labels,
        )
