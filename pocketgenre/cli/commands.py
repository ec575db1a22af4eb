"""Start the commands: the entry points of ``pyproject.toml``.

A command's module is imported when it starts, so that Ctrl-C during the import shows no
traceback, and a missing extra is reported in one sentence.
"""

import sys
from functools import partial
from importlib import import_module


def _start(module: str, extra: str = "") -> None:
    try:
        main = import_module(module).main
    except KeyboardInterrupt:
        if "--debug" in sys.argv:
            raise
        sys.exit(130)
    except ModuleNotFoundError as error:
        from pocketgenre.cli.console import explain_missing_package, fail

        explanation = explain_missing_package(error, extra)
        if explanation is None or "--debug" in sys.argv:
            raise
        fail(explanation)
    main()


scan_library = partial(_start, "pocketgenre.cli.scan_library")
list_songs = partial(_start, "pocketgenre.cli.list_songs")
show_statistics = partial(_start, "pocketgenre.cli.show_statistics")
export_catalog = partial(_start, "pocketgenre.cli.export_catalog")
forget_songs = partial(_start, "pocketgenre.cli.forget_songs")
correct_label = partial(_start, "pocketgenre.cli.correct_label")
learn_genres = partial(_start, "pocketgenre.learning.cli", "learn")
undo_tags = partial(_start, "pocketgenre.cli.undo_tags")
prepare_dataset = partial(_start, "pocketgenre.training.cli.prepare_dataset")
train_model = partial(_start, "pocketgenre.training.cli.train_model")
evaluate_model = partial(_start, "pocketgenre.training.cli.evaluate_model")
compare_runs = partial(_start, "pocketgenre.training.cli.compare_runs")
find_mislabelled = partial(_start, "pocketgenre.training.cli.find_mislabelled")
plot_dataset = partial(_start, "pocketgenre.training.cli.plot_dataset")
check_features = partial(_start, "pocketgenre.parity.cli")
export_tflite = partial(_start, "pocketgenre.export.cli")
serve_classifier = partial(_start, "pocketgenre.server.cli")
