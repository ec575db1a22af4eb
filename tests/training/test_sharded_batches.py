"""Batches from shards: every segment once an epoch, each host its own, the same when resumed."""

from itertools import chain, islice

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_batches import epoch_steps, shard_batches
from pocketgenre.training.data.songs import DataError
from tests.training.fabricated import fabricate_dataset, in_shards

BATCH = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    whole = fabricate_dataset(folder / "whole", {"jazz": [3, 5, 4, 2], "rock": [4, 4, 1, 7]})
    return in_shards(whole, folder / "shards", 2)


def drawn(data: Dataset, segments, first_epoch=0, host=0, hosts=1, steps=None) -> list[list[int]]:
    """Positions of the segments of each batch; their features and targets are checked."""
    count = epoch_steps(len(segments), BATCH, hosts) // hosts if steps is None else steps
    batches = shard_batches(data, segments, BATCH, 3, first_epoch, host, hosts)
    whole = np.asarray(data.features)
    positions = []
    for x, y in islice(batches.as_numpy_iterator(), count):
        found = [int(np.flatnonzero((whole == one).all(axis=(1, 2)))[0]) for one in x]
        np.testing.assert_array_equal(y, data.segment_targets[found])
        positions.append(found)
    return positions


def all_of(batches: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(batches))


def test_an_epoch_of_one_host_is_every_segment_that_is_learned_from(data: Dataset) -> None:
    segments = np.array([0, 1, 2, 5, 7, 8, 13, 14, 20, 21, 25, 28])
    batches = drawn(data, segments)
    assert sorted(all_of(batches)) == segments.tolist()
    assert all_of(batches) != segments.tolist()  # in an order of its own
    assert batches != drawn(data, segments, first_epoch=1)
    assert batches == drawn(data, segments)


def test_each_host_reads_shards_of_its_own(data: Dataset) -> None:
    segments = np.arange(len(data.features))
    shares = [set(all_of(drawn(data, segments, host=h, hosts=2, steps=10))) for h in range(2)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == set(segments.tolist())
    for share in shares:  # whole shards
        owners = np.searchsorted(data.features.starts, sorted(share), side="right") - 1
        assert len(share) == sum(data.shards[owner].segments for owner in set(owners.tolist()))


@pytest.mark.parametrize(("host", "hosts"), [(0, 1), (1, 2)])
def test_a_resumed_training_sees_what_it_would_have_seen(
    data: Dataset, host: int, hosts: int
) -> None:
    segments = np.arange(3, 29)
    each = epoch_steps(len(segments), BATCH, hosts) // hosts
    whole = drawn(data, segments, host=host, hosts=hosts, steps=3 * each)
    resumed = drawn(data, segments, first_epoch=2, host=host, hosts=hosts, steps=each)
    assert resumed == whole[2 * each :]


def test_more_hosts_than_shards_are_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="There are 1 shards to learn from, too few for 2 hosts"):
        drawn(data, np.array([0, 1]), hosts=2)


def test_hosts_take_the_same_number_of_steps() -> None:
    assert epoch_steps(13, 6) == 3
    assert epoch_steps(13, 6, 2) == 4
    assert epoch_steps(12, 6, 2) == 2
