"""Classify files in worker processes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from pocketgenre.audio.decoding import UnreadableError
from pocketgenre.errors import AudioError
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.tags.metadata import NO_METADATA, Metadata, read_metadata
from pocketgenre.models.model_card import ModelCard
from pocketgenre.prediction import SongAnalysis

MIN_TIMEOUT = 120.0  # seconds
_TIMEOUT_PER_MB = 10.0  # seconds

AnalysisFunction = Callable[[Path, int], SongAnalysis]
"""From a file and a number of segments (0: all) to the analysis of the song."""


@dataclass(frozen=True)
class InferenceJob:
    """A file to classify.

    Attributes
    ----------
    path : audio file
    segments : number of segments, spread over the song; 0 for all
    timeout : time after which the worker is killed [s]
    """

    path: str
    segments: int
    timeout: float


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """Result for one file.

    Attributes
    ----------
    file_hash : see :func:`pocketgenre.library.file_hash.hash_file`; None after an error
    analysis : probabilities in half precision (float16); None after an error
    error : sentence without a full stop that continues after the file's name
    is_transient : True if another attempt may succeed
    metadata : fields of the file's tags; empty after an error, since only audio is parsed
    """

    file_hash: bytes | None
    analysis: SongAnalysis | None
    error: str | None = None
    is_transient: bool = False
    metadata: Metadata = NO_METADATA


class InferenceSetupProtocol(Protocol):
    """Picklable object that prepares a worker for :class:`InferenceJob`."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        """Return the function that processes a job; called in the worker."""


@dataclass(frozen=True)
class InferenceSetup:
    """Load a model in a worker, from content that the parent has read once.

    Attributes
    ----------
    model : content of the ``.tflite`` file
    card : its model card
    features_base : hash of the network without its last layer, to compute features as well; None
        for no features
    """

    model: bytes
    card: ModelCard
    features_base: bytes | None = None

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        """Start the runtime.

        Raises
        ------
        ModelError
            if no runtime can run the model.
        """
        # In the worker: the parent does not load a runtime.
        from pocketgenre.classifier import GenreClassifier

        classifier = GenreClassifier.from_bytes(
            self.model, self.card, features_base=self.features_base
        )
        return partial(run_inference, classifier.analyze)


def run_inference(analyze: AnalysisFunction, job: InferenceJob) -> InferenceResult:
    """Classify one file and convert every error to a result."""
    path = Path(job.path)
    try:
        analysis = analyze(path, job.segments)
        packed = analysis.probabilities.astype(np.float16)
        return InferenceResult(
            hash_file(path),
            replace(analysis, probabilities=packed),
            # Here, with limits on time and memory, which a hostile tag may exceed.
            metadata=read_metadata(path),
        )
    except UnreadableError as error:
        return InferenceResult(None, None, str(error), is_transient=True)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        return InferenceResult(None, None, reason, is_transient=True)
    except AudioError as error:
        return InferenceResult(None, None, str(error))
    except MemoryError:
        return InferenceResult(
            None, None, "it needs more memory than is available", is_transient=True
        )
    except Exception as error:  # one file must not end the scan
        return InferenceResult(
            None, None, f"it cannot be classified ({type(error).__name__}: {error})"
        )


def timeout_for(size: int, min_timeout: float = MIN_TIMEOUT) -> float:
    """Return the timeout for a file of ``size`` bytes [s]: 10 s per MB plus ``min_timeout``."""
    return min_timeout + _TIMEOUT_PER_MB * max(0, size) / 1e6
