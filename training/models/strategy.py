"""Distribute training over devices and hosts.

Keras' TensorFlow backend distributes ``fit`` once the network is built in the scope of a
``tf.distribute`` strategy; a batch is then divided among the replicas.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from pocketgenre.errors import PocketGenreError

STRATEGIES = {
    "default": "one device: the GPU if available",
    "mirrored": "all GPUs of this host",
    "multi-worker": "several hosts; TF_CONFIG names them, and each runs the same command",
}


@dataclass(frozen=True)
class Placement:
    """Strategy of the training and role of this process.

    Attributes
    ----------
    strategy : ``tf.distribute`` strategy; networks are built in its scope
    is_chief : True in the one process that writes the run
    host : index of this process
    hosts : number of processes
    """

    strategy: Any
    is_chief: bool = True
    host: int = 0
    hosts: int = 1

    @contextmanager
    def scratch(self, folder: Path) -> Iterator[Path]:
        """Open the folder for checkpoints: ``folder`` in the chief, a temporary one in others.

        Every process has to save, since reading some variables sums them over all workers.
        """
        if self.is_chief:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        else:
            with tempfile.TemporaryDirectory() as temporary:
                yield Path(temporary)


def prepare_fit(model: Any, placement: Placement, features: Any, targets: Any) -> None:
    """Work around keras-team/keras#20585, which breaks training on several hosts in Keras 3.

    With several hosts, ``fit`` would build the network from a ``PerReplica`` batch, which it can't
    handle, so the network is built here from a plain batch. ``fit`` also averages the logs of the
    steps over the hosts along an axis that scalars don't have, so the logs get that axis.

    Parameters
    ----------
    model : compiled ``keras.Model``
    placement : placement of the training; nothing is done for a single host
    features, targets : one batch
    """
    if isinstance(placement.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        with placement.strategy.scope():
            model._symbolic_build(data_batch=(features, targets, None))
        model._maybe_symbolic_build = lambda **_: None
        model.train_step = _with_axis(model.train_step)
        model.test_step = _with_axis(model.test_step)


def _with_axis(step: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    return lambda data: {name: tf.reshape(value, (1,)) for name, value in step(data).items()}


def place(name: str) -> Placement:
    """Start a strategy by its name in :data:`STRATEGIES`.

    TensorFlow must not have been used before.

    Raises
    ------
    PocketGenreError
        if there is no strategy of that name, or ``TF_CONFIG`` doesn't name the hosts.
    """
    if name == "default":
        return Placement(tf.distribute.get_strategy())
    if name == "mirrored":
        return Placement(tf.distribute.MirroredStrategy())
    if name != "multi-worker":
        raise PocketGenreError(f"--strategy must be one of {', '.join(STRATEGIES)}, not {name!r}.")
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        task, workers = config["task"], config["cluster"]["worker"]
        host, hosts = int(task["index"]), len(workers)
    except (KeyError, ValueError, TypeError) as error:
        raise PocketGenreError(
            "--strategy multi-worker needs the environment variable TF_CONFIG, such as"
            ' {"cluster": {"worker": ["host1:5000", "host2:5000"]},'
            ' "task": {"type": "worker", "index": 0}}.'
        ) from error
    return Placement(tf.distribute.MultiWorkerMirroredStrategy(), host == 0, host, hosts)
