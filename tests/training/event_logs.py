"""Read the logs that TensorBoard shows."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray


def logged_scalars(folder: Path) -> dict[str, list[float]]:
    """Return the values of each scalar, in order of the steps, which count from 1."""
    logs = EventAccumulator(str(folder))
    logs.Reload()
    found = {}
    for name in logs.Tags()["tensors"]:
        events = logs.Tensors(name)
        assert [event.step for event in events] == list(range(1, len(events) + 1))
        found[name] = [float(make_ndarray(event.tensor_proto)) for event in events]
    return found
