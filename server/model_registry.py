"""The models that a request can choose among, by name alone."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.errors import ModelError
from pocketgenre.models.interpreter import create_interpreter, runtime_version
from pocketgenre.models.model_card import ModelCard, card_path, read_model
from pocketgenre.models.pretrained import MODELS_BY_NAME
from pocketgenre.server.schemas import ModelDescription, ModelName, Models, ModelSummary, Operation

_MOST_MODELS = 64


@dataclass(frozen=True)
class Exported:
    """An exported model, read once for all.

    Attributes
    ----------
    operations : name of each operation of the file, as the runtime has them
    """

    name: str
    content: bytes
    card: ModelCard
    operations: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Exported":
        """A file with its card; it is called as the file is, without the ending.

        Raises
        ------
        ModelError
            a file is missing or broken, or no runtime can run it.
        """
        content, card = read_model(path)
        # Without delegates: XNNPACK would stand in for the operations that it takes over.
        interpreter = create_interpreter(content, delegates=False)
        operations = tuple(str(op["op_name"]) for op in interpreter._get_ops_details())
        return cls(path.stem, content, card, operations)

    @property
    def id(self) -> ModelName:
        """What answers call it."""
        return ModelName(name=self.name, sha256=self.card.sha256)

    def summary(self) -> ModelSummary:
        """As a list has it."""
        return ModelSummary(
            name=self.name,
            network=self.card.name,
            input=self.card.input,
            bytes=len(self.content),
            sha256=self.card.sha256,
            labels=list(self.card.labels),
        )

    def description(self) -> ModelDescription:
        """All that is known of it."""
        counted = Counter(self.operations).most_common()
        return ModelDescription(
            **self.summary().model_dump(),
            front_end=self.card.feature_config.to_dict(),
            operations=[Operation(name=name, count=count) for name, count in counted],
            runtime=runtime_version(),
            card=json.loads(self.card.to_json()),
        )


class ModelRegistry:
    """All models that can be chosen.

    Parameters
    ----------
    models : the first one answers where none is named

    Raises
    ------
    ModelError
        two have one name, or there are too many.
    """

    def __init__(self, models: Iterable[Exported]) -> None:
        self.by_name: dict[str, Exported] = {}
        for model in models:
            if model.name in self.by_name:
                raise ModelError(f"Two models are called {model.name}; rename one of the files.")
            self.by_name[model.name] = model
        if len(self.by_name) > _MOST_MODELS:
            raise ModelError(f"There are {len(self.by_name)} models; {_MOST_MODELS} can be served.")
        self.default = next(iter(self.by_name))

    def list(self) -> Models:
        """Names and what is behind them."""
        summaries = [model.summary() for model in self.by_name.values()]
        return Models(default=self.default, models=summaries)


def open_registry(model: str, folder: Path | None) -> ModelRegistry:
    """The shipped models and the exported ones of a folder.

    Parameters
    ----------
    model : of which name, or of which file, the default is
    folder : with more ``.tflite`` files, their cards beside them

    Raises
    ------
    ModelError
        a file is missing, broken or of a name that is taken.
    """
    files = [*MODELS_BY_NAME.values()]
    first = model
    if model.endswith(".tflite"):
        files.append(Path(model))
        first = Path(model).stem
    if folder is not None:
        found = sorted(path for path in folder.glob("*.tflite") if card_path(path).is_file())
        if not found:
            raise ModelError(
                f"There is no .tflite file with its card in {folder}; export-tflite writes both."
            )
        files += found
    # One file may be named in several ways; under two names, as a link can have it, it is two.
    files = list({(path.stem, os.path.realpath(path)): path for path in files}.values())
    if first not in {path.stem for path in files}:
        names = ", ".join(path.stem for path in files)
        raise ModelError(f"There is no model {first}; there are {names}. Or name a .tflite file.")
    return ModelRegistry(
        Exported.read(path) for path in sorted(files, key=lambda p: p.stem != first)
    )
