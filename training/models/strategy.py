"""On how many devices and hosts a network is trained.

Keras' TensorFlow backend spreads ``fit`` by itself once the network is built in the scope
of a ``tf.distribute`` strategy; a batch is then divided among the replicas.
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
    "default": "one device: the GPU where there is one",
    "mirrored": "all GPUs of this host",
    "multi-worker": "several hosts; TF_CONFIG names them, and each runs the same command",
}


@dataclass(frozen=True)
class Placement:
    """A strategy, and whether this process is the one that writes.

    Attributes
    ----------
    strategy : to build networks in the scope of
    is_chief : True in one process of all
    host : number of this process among them
    hosts : how many there are
    """

    strategy: Any
    is_chief: bool = True
    host: int = 0
    hosts: int = 1

    @contextmanager
    def scratch(self, folder: Path) -> Iterator[Path]:
        """Where this process saves: ``folder`` itself, or what the others throw away.

        All of them have to save, since some variables are summed over workers when they are read.
        """
        if self.is_chief:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        else:
            with tempfile.TemporaryDirectory() as temporary:
                yield Path(temporary)


def prepare_fit(model: Any, placement: Placement, features: Any, targets: Any) -> None:
    """Step around what keeps Keras 3 from training on several hosts (keras-team/keras#20585).

    ``fit`` builds the network from a batch off the iterator, which is a ``PerReplica`` there that
    it can't handle: so it is given one by hand. And it averages the steps' logs over the
    hosts along an axis that scalars don't have: so they get one.

    Parameters
    ----------
    model : a compiled ``keras.Model``
    placement : nothing is done but for several hosts
    features, targets : a batch
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

    It must be called before anything else of TensorFlow's.

    Raises
    ------
    PocketGenreError
        there is none of that name, or ``TF_CONFIG`` doesn't name the hosts.
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
