"""Models that the server offers, selected by name."""

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

_MAX_MODELS = 64


@dataclass(frozen=True)
class ServedModel:
    """An exported model in memory.

    Attributes
    ----------
    name : name of the file without its suffix
    content : content of the ``.tflite`` file
    card : model card
    operations : name of each operation in the file, as reported by the runtime
    """

    name: str
    content: bytes
    card: ModelCard
    operations: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "ServedModel":
        """Read a model file and its card.

        Raises
        ------
        ModelError
            if a file is missing or broken, or no runtime can run the model.
        """
        content, card = read_model(path)
        # Without delegates: XNNPACK replaces the operations that it runs.
        interpreter = create_interpreter(content, delegates=False)
        operations = tuple(str(op["op_name"]) for op in interpreter._get_ops_details())
        return cls(path.stem, content, card, operations)

    @property
    def id(self) -> ModelName:
        """Name and hash, as they appear in responses."""
        return ModelName(name=self.name, sha256=self.card.sha256)

    def summary(self) -> ModelSummary:
        """Return the model's entry in the list of models."""
        return ModelSummary(
            name=self.name,
            network=self.card.name,
            input=self.card.input,
            bytes=len(self.content),
            sha256=self.card.sha256,
            labels=list(self.card.labels),
        )

    def description(self) -> ModelDescription:
        """Return the full description of the model."""
        counts = Counter(self.operations).most_common()
        return ModelDescription(
            **self.summary().model_dump(),
            front_end=self.card.feature_config.to_dict(),
            operations=[Operation(name=name, count=count) for name, count in counts],
            runtime=runtime_version(),
            card=json.loads(self.card.to_json()),
        )


class ModelRegistry:
    """All models that the server offers.

    Parameters
    ----------
    models : the models, the default one first

    Raises
    ------
    ModelError
        if two models have the same name, or there are too many.
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self.by_name: dict[str, ServedModel] = {}
        for model in models:
            if model.name in self.by_name:
                raise ModelError(f"Two models are named {model.name}; rename one of the files.")
            self.by_name[model.name] = model
        if len(self.by_name) > _MAX_MODELS:
            raise ModelError(
                f"Too many models: {len(self.by_name)}; at most {_MAX_MODELS} can be served."
            )
        self.default = next(iter(self.by_name))

    def list(self) -> Models:
        """Return a summary of all models."""
        summaries = [model.summary() for model in self.by_name.values()]
        return Models(default=self.default, models=summaries)


def open_registry(model: str, folder: Path | None) -> ModelRegistry:
    """Read the pretrained models and the exported models of a folder.

    Parameters
    ----------
    model : name or ``.tflite`` file of the default model
    folder : folder of more ``.tflite`` files with their cards, or None

    Raises
    ------
    ModelError
        if a file is missing or broken, or its name is already taken.
    """
    files = [*MODELS_BY_NAME.values()]
    default = model
    if model.endswith(".tflite"):
        files.append(Path(model))
        default = Path(model).stem
    if folder is not None:
        exported = sorted(path for path in folder.glob("*.tflite") if card_path(path).is_file())
        if not exported:
            raise ModelError(
                f"There is no .tflite file with a model card in {folder}; export-tflite writes"
                " both."
            )
        files += exported
    # The same file may be given by several paths. A link with another name is another model.
    files = list({(path.stem, os.path.realpath(path)): path for path in files}.values())
    if default not in {path.stem for path in files}:
        names = ", ".join(path.stem for path in files)
        raise ModelError(f"There is no model {default}; choose {names}, or a .tflite file.")
    return ModelRegistry(
        ServedModel.read(path) for path in sorted(files, key=lambda path: path.stem != default)
    )
