"""The models that this repository trained, exported and ships."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "models"

SHIPPED = {
    "standard": _FOLDER / "standard.tflite",
    "best": _FOLDER / "best.tflite",
}
"""By the name that ``scan-library --model`` takes: 13 MFCC in; 96 mel bands in."""

SHIPPED_WAVEFORM = {
    "standard": _FOLDER / "standard_waveform.tflite",
    "best": _FOLDER / "best_waveform.tflite",
}
"""The same networks with the front end in the graph, for apps that can't compute it."""

DEFAULT_MODEL = "best"


def find_model(name: str) -> Path:
    """The file of a shipped model by its name, or else the file of that path."""
    return SHIPPED.get(name, Path(name))
