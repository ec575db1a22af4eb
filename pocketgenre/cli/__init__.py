"""The commands of the phone's side. Only here are typer and rich imported.

What the commands import takes a moment; interrupted in it, they end as quietly as later on.
"""

import sys
from types import TracebackType

_show = sys.excepthook


def _show_unless_interrupted(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt) or "--debug" in sys.argv:
        _show(kind, error, traceback)


sys.excepthook = _show_unless_interrupted
