"""The models that this repository trained, exported and ships."""

from pathlib import Path

from mobile_demo.errors import ModelError

_FOLDER = Path(__file__).parent / "models"

SHIPPED = {
    "standard": _FOLDER / "standard.tflite",
    "best": _FOLDER / "best.tflite",
}
"""13 MFCC in; 96 mel bands in."""

SHIPPED_WAVEFORM = {
    "standard": _FOLDER / "standard_waveform.tflite",
    "best": _FOLDER / "best_waveform.tflite",
}
"""The same networks with the front end in the graph, for apps that can't compute it."""

DEFAULT_MODEL = "best"


BY_NAME = {path.stem: path for path in (*SHIPPED.values(), *SHIPPED_WAVEFORM.values())}
"""As ``--model`` takes them."""


def find_model(name: str) -> Path:
    """The file of a shipped model by its name, or else the file of that path.

    Raises
    ------
    ModelError
        it is neither.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    path = Path(name)
    if path.suffix != ".tflite" and not path.exists():
        names = ", ".join(BY_NAME)
        raise ModelError(f"There is no model {name}; there are {names}. Or name a .tflite file.")
    return path
