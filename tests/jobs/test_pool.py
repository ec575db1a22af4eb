"""Workers under jobs that misbehave, without a model and without HTTP."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pocketgenre.errors import ModelError, PocketGenreError
from pocketgenre.jobs.pool import WorkerCrash
from pocketgenre.server.pool import KILLED, OVERDUE, Pool
from tests.conftest import until


@dataclass(frozen=True)
class Chore:
    """Does what its name says."""

    name: str
    seconds: float = 30.0


def do(chore: Chore) -> str:
    if chore.name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if chore.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if chore.name == "hang":
        time.sleep(60)
    if chore.name == "nap":
        time.sleep(0.5)
    return chore.name


@dataclass(frozen=True)
class Able:
    def __call__(self) -> Callable[[Chore], str]:
        return do


@dataclass(frozen=True)
class OnceAble:
    """Can be set up as long as its file is there."""

    file: Path

    def __call__(self) -> Callable[[Chore], str]:
        if not self.file.exists():
            raise ModelError("No runtime can run this model.")
        return do


@contextmanager
def started(set_up: Callable, count: int = 1) -> Iterator[Pool]:
    pool = Pool(set_up, count)
    pool.start()
    try:
        yield pool
    finally:
        pool.close()


def test_each_job_gets_its_answer_or_the_death_of_its_worker() -> None:
    chores = ["one", "segfault", "two", "killed", "hang", "three"]
    with started(Able(), 2) as pool:
        promises = [pool.submit(Chore(name, 0.5 if name == "hang" else 30)) for name in chores]
        answers = [promise.result(timeout=60) for promise in promises]
    assert answers == ["one", WorkerCrash(-signal.SIGSEGV), "two", KILLED, OVERDUE, "three"]
    assert pool.deaths == 4  # a job whose worker was killed is given to another one once
    assert pool.busy == pool.waiting == 0


def test_a_job_that_nobody_wants_any_more_is_not_begun() -> None:
    with started(Able()) as pool:
        nap, unwanted = pool.submit(Chore("nap")), pool.submit(Chore("segfault"))
        while not nap.running():
            time.sleep(0.01)
        assert unwanted.cancel()
        assert not nap.cancel()
        assert pool.submit(Chore("next")).result(timeout=30) == "next"
    assert pool.deaths == 0


def test_what_was_submitted_is_done_before_the_end() -> None:
    with started(Able()) as pool:
        promises = [pool.submit(Chore("nap")) for _ in range(3)]
    assert [promise.result(timeout=0) for promise in promises] == ["nap"] * 3
    assert not pool.is_ready


def test_workers_that_can_not_start_say_why(tmp_path: Path) -> None:
    with pytest.raises(PocketGenreError, match="No runtime can run"):
        Pool(OnceAble(tmp_path / "missing"), 2).start()


def test_where_the_system_starts_no_process_nobody_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with started(Able()) as pool:
        with monkeypatch.context() as nothing:
            nothing.setattr(sys, "executable", "/nowhere/python")
            died = pool.submit(Chore("segfault")).result(timeout=30)
            turned_away = pool.submit(Chore("one")).result(timeout=30)
        assert (died, turned_away) == (WorkerCrash(-signal.SIGSEGV), KILLED)
        until(lambda: pool.is_ready)
        assert pool.submit(Chore("two")).result(timeout=30) == "two"


def test_where_no_worker_can_be_had_nobody_waits_for_one(tmp_path: Path) -> None:
    (tmp_path / "able").touch()
    with started(OnceAble(tmp_path / "able")) as pool:
        (tmp_path / "able").unlink()
        assert pool.submit(Chore("segfault")).result(timeout=30) == WorkerCrash(-signal.SIGSEGV)
        assert pool.submit(Chore("one")).result(timeout=30) == KILLED
        assert not pool.is_ready
        (tmp_path / "able").touch()
        until(lambda: pool.is_ready)
        assert pool.submit(Chore("two")).result(timeout=30) == "two"
