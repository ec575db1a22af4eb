"""The models that this repository trained, exported and ships."""

from pathlib import Path

from pocketgenre.errors import ModelError

_FOLDER = Path(__file__).parent

PRETRAINED = {
    "standard": _FOLDER / "standard.tflite",
    "best": _FOLDER / "best.tflite",
}
"""13 MFCC in; 96 mel bands in."""

PRETRAINED_WAVEFORM = {
    "standard": _FOLDER / "standard_waveform.tflite",
    "best": _FOLDER / "best_waveform.tflite",
}
"""The same networks with the front end in the graph, for apps that can't compute it."""

DEFAULT_MODEL = "best"


MODELS_BY_NAME = {path.stem: path for path in (*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values())}
"""As ``--model`` takes them."""


def find_model(name: str) -> Path:
    """The file of a shipped model by its name, or else the file of that path.

    Raises
    ------
    ModelError
        it is neither.
    """
    if name in MODELS_BY_NAME:
        return MODELS_BY_NAME[name]
    path = Path(name)
    if path.suffix != ".tflite" and not path.exists():
        names = ", ".join(MODELS_BY_NAME)
        raise ModelError(f"There is no model {name}; there are {names}. Or name a .tflite file.")
    return path
