"""Run jobs in worker processes that crash, hang or are killed."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from pickle import PicklingError

import psutil
import pytest

from pocketgenre.errors import ModelError
from pocketgenre.jobs.pool import JobFailure, WorkerPool, map_jobs
from pocketgenre.jobs.process import WorkerStartError
from tests.conftest import REPOSITORY, until, worker_processes
from tests.jobs.sample_jobs import HangingSetup, SampleJob, Setup, SetupWithFile

CRASH = JobFailure("it crashes its decoder (SIGSEGV)", kind="crash")
EXIT = JobFailure("it crashes its decoder (exit status 3)", kind="crash")
KILLED = JobFailure("its worker process was killed from outside", is_transient=True, kind="killed")
TIMEOUT = JobFailure("it took longer than 1 s", kind="timeout")


@contextmanager
def started_pool(
    setup: Callable = Setup(),  # noqa: B008
    workers: int = 1,
    **options: int,
) -> Iterator[WorkerPool]:
    with WorkerPool(setup, workers, **options) as pool:
        pool.start()
        yield pool


def has_ended(process: int) -> bool:
    try:
        if psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
            return False
        # A process with threads becomes a zombie before all of them have ended.
        return len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True


def submit(pool: WorkerPool, name: str, **options) -> "Future[object]":
    return pool.submit(SampleJob(name, **options))


def result(pool: WorkerPool, name: str, **options) -> object:
    return submit(pool, name, **options).result(timeout=60)


def results_of_map(jobs, setup=Setup(), workers: int = 1) -> list[object]:  # noqa: B008
    return [result for _, result in map_jobs(jobs, setup, workers)]


def test_each_job_gets_its_result_or_failure() -> None:
    names = ["one", "segfault", "two", "kill", "hang", "exit", "three"]
    with started_pool(workers=2, killed_retries=1) as pool:
        jobs = [SampleJob(name, 1.0 if name == "hang" else 60) for name in names]
        futures = [pool.submit(job) for job in jobs]
        results = [future.result(timeout=60) for future in futures]
        assert results == ["one", CRASH, "two", KILLED, TIMEOUT, EXIT, "three"]
        assert pool.crashes == 5  # the killed job was tried twice
        assert pool.busy == pool.queued == 0


def test_jobs_are_submitted_from_many_threads() -> None:
    names = [f"job {number}" for number in range(40)]
    with WorkerPool(Setup(), 2) as pool, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda name: result(pool, name), names)) == names


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_map_processes_each_job_once(workers: int) -> None:
    jobs = [SampleJob(str(number)) for number in range(20)]
    results = dict(map_jobs(jobs, Setup(), workers))
    assert results == {job: job.name for job in jobs}
    assert not worker_processes()


def test_map_yields_in_order_of_completion(tmp_path: Path) -> None:
    waiting = SampleJob("wait", file=tmp_path / "release")
    with closing(map_jobs([waiting, SampleJob("quick")], Setup(), 2)) as results:
        assert next(results) == (SampleJob("quick"), "quick")
        waiting.file.touch()
        assert list(results) == [(waiting, "wait")]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_map_consumes_an_endless_iterator_lazily(workers: int) -> None:
    consumed = 0

    def jobs() -> Iterator[SampleJob]:
        nonlocal consumed
        for number in count():
            consumed += 1
            yield SampleJob(str(number))

    with closing(map_jobs(jobs(), Setup(), workers)) as results:
        for done in range(1, 30):
            next(results)
            assert consumed <= done + 2 * max(workers, 1)
    assert not worker_processes()


@pytest.mark.parametrize("workers", [0, 2])
def test_map_of_no_jobs_is_empty(workers: int) -> None:
    assert results_of_map([], workers=workers) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted_map_ends(workers: int) -> None:
    finished: list[object] = []
    jobs = (SampleJob(str(number)) for number in count())
    for _, name in map_jobs(jobs, Setup(), workers, lambda: len(finished) == 5):
        finished.append(name)
    assert len(finished) == 5
    assert not worker_processes()


def test_interrupted_map_drops_running_jobs(tmp_path: Path) -> None:
    job = SampleJob("hang", timeout=600, file=tmp_path / "process")
    assert list(map_jobs([job], Setup(), 1, job.file.exists)) == []
    assert not worker_processes()


def test_queued_job_can_be_cancelled(tmp_path: Path) -> None:
    with started_pool() as pool:
        running = submit(pool, "wait", file=tmp_path / "release")
        queued = submit(pool, "segfault")
        until(running.running)
        assert queued.cancel()
        assert not running.cancel()
        (tmp_path / "release").touch()
        assert result(pool, "next") == "next"
        assert pool.crashes == 0


def test_close_processes_queued_jobs(tmp_path: Path) -> None:
    with started_pool() as pool:
        futures = [submit(pool, "wait", file=tmp_path / "release") for _ in range(3)]
        (tmp_path / "release").touch()
        pool.close()
        assert [future.result(timeout=0) for future in futures] == ["wait"] * 3
        assert not pool.is_ready
        assert not worker_processes()
        with pytest.raises(RuntimeError):
            submit(pool, "next")
        assert pool.queued == 0


def test_close_starts_processes_for_queued_jobs() -> None:
    pool = WorkerPool(Setup(), 1)
    futures = [submit(pool, "segfault"), submit(pool, "next")]
    pool.close()
    assert [future.result(timeout=0) for future in futures] == [CRASH, "next"]


def test_terminate_ends_running_jobs_at_once(tmp_path: Path) -> None:
    pool = WorkerPool(Setup(), 1)
    running = submit(pool, "hang", timeout=600, file=tmp_path / "process")
    queued = submit(pool, "next")
    until((tmp_path / "process").exists)
    begin = time.monotonic()
    pool.terminate()
    assert time.monotonic() - begin < 30
    assert running.result(timeout=0) == KILLED
    assert queued.cancelled()
    assert not worker_processes()


@pytest.mark.timeout(120)
def test_callback_of_dropped_job_may_use_pool(tmp_path: Path) -> None:
    pool = WorkerPool(Setup(), 1)
    submit(pool, "hang", timeout=600, file=tmp_path / "process")
    queued = submit(pool, "next")
    states: list[bool] = []
    queued.add_done_callback(lambda _: states.append(pool.is_ready))
    until((tmp_path / "process").exists)
    pool.terminate()
    assert len(states) == 1


def test_terminate_does_not_wait_for_the_setup(tmp_path: Path) -> None:
    pool = WorkerPool(HangingSetup(tmp_path / "started"), 1)
    future = submit(pool, "next")
    until((tmp_path / "started").exists)
    begin = time.monotonic()
    pool.terminate()
    assert time.monotonic() - begin < 30
    with pytest.raises(WorkerStartError):
        future.result(timeout=0)
    assert not worker_processes()


def test_properties_count_jobs_and_processes(tmp_path: Path) -> None:
    pool = WorkerPool(Setup(), 1)
    with pool:
        assert not pool.is_ready
        pool.start()
        assert pool.is_ready
        assert (pool.busy, pool.queued) == (0, 0)
        futures = [submit(pool, "wait", file=tmp_path / "release") for _ in range(3)]
        until(lambda: pool.busy == 1)
        assert pool.queued == 2
        assert pool.seconds_per_job > 0
        (tmp_path / "release").touch()
        assert [future.result(timeout=60) for future in futures] == ["wait"] * 3
        until(lambda: (pool.busy, pool.queued, pool.crashes) == (0, 0, 0))
        assert pool.is_ready
    assert not pool.is_ready


def test_started_pool_replaces_crashed_workers() -> None:
    with started_pool(workers=2) as pool:
        assert [result(pool, name) for name in ("segfault", "exit")] == [CRASH, EXIT]
        until(lambda: pool.is_ready)
        assert pool.crashes == len(worker_processes()) == 2


def test_started_pool_replaces_an_idle_worker() -> None:
    with started_pool() as pool:
        (before,) = worker_processes()
        before.kill()
        until(lambda: has_ended(before.pid))
        until(lambda: pool.is_ready)
        assert pool.crashes == 1
        (after,) = worker_processes()
        assert result(pool, "process") == after.pid != before.pid


def test_job_avoids_a_dead_idle_worker() -> None:
    with WorkerPool(Setup(), 1) as pool:
        before = result(pool, "process")
        os.kill(before, signal.SIGKILL)
        until(lambda: has_ended(before))
        assert result(pool, "process") not in (before, KILLED)


@pytest.mark.parametrize("retries", [0, 1])
def test_killed_job_is_repeated(tmp_path: Path, retries: int) -> None:
    with WorkerPool(Setup(), 1, killed_retries=retries) as pool:
        killed = result(pool, "kill once", file=tmp_path / "file")
        assert killed == ("kill once" if retries else KILLED)
        assert pool.crashes == 1


def test_crashed_job_is_not_repeated() -> None:
    with WorkerPool(Setup(), 1, killed_retries=3) as pool:
        assert result(pool, "segfault") == CRASH
        assert pool.crashes == 1


def test_exception_in_a_job_ends_its_worker() -> None:
    failure = JobFailure("it crashes its decoder (exit status 1)", kind="crash")
    assert results_of_map([SampleJob("raise"), SampleJob("next")]) == [failure, "next"]


def test_memory_limit_raises_in_the_job() -> None:
    assert results_of_map([SampleJob("exhaust memory")]) == ["MemoryError"]


def test_standard_streams_of_a_job_are_null(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = [SampleJob("use standard streams"), SampleJob("next")]
    assert results_of_map(jobs) == ["", "next"]
    assert capfd.readouterr() == ("", "")


def test_unpicklable_job_raises_and_costs_nothing() -> None:
    with WorkerPool(Setup(), 1) as pool:
        process = result(pool, "process")
        with pytest.raises((AttributeError, TypeError, PicklingError), match="local object"):
            result(pool, "next", file=lambda: None)
        assert result(pool, "process") == process
        assert pool.crashes == 0


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_setup_error_reaches_the_caller(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ModelError, match="No runtime can run"):
        results_of_map([SampleJob("next")] * 5, SetupWithFile(tmp_path / "missing"), workers)
    assert not worker_processes()


def test_start_raises_the_setup_error(tmp_path: Path) -> None:
    pool = WorkerPool(SetupWithFile(tmp_path / "missing"), 2)
    with pytest.raises(ModelError, match="No runtime can run"):
        pool.start()
    assert not worker_processes()
    assert not pool.is_ready


def test_pool_recovers_when_processes_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with started_pool() as pool:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            assert result(pool, "segfault") == CRASH
            with pytest.raises(WorkerStartError, match=r"cannot be started: No such file"):
                result(pool, "one")
            assert not pool.is_ready
        until(lambda: pool.is_ready)
        assert result(pool, "two") == "two"


def test_pool_recovers_when_the_setup_succeeds_again(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.touch()
    with started_pool(SetupWithFile(file)) as pool:
        file.unlink()
        assert result(pool, "segfault") == CRASH
        with pytest.raises(ModelError, match="No runtime can run"):
            result(pool, "one")
        assert not pool.is_ready
        file.touch()
        until(lambda: pool.is_ready)
        assert result(pool, "two") == "two"
        assert pool.crashes == len(worker_processes()) == 1


IMPORTS = """
import os, signal, sys, time
from pathlib import Path
import psutil
from pocketgenre.jobs.pool import WorkerPool
from tests.jobs.sample_jobs import SampleJob, Setup
"""


@contextmanager
def parent_process(code: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a script in a separate process group, as a terminal does."""
    command = [sys.executable, "-c", IMPORTS + code, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


IDLE_PARENT = """
pool = WorkerPool(Setup(), 2)
pool.start()
print(*(child.pid for child in psutil.Process().children()), flush=True)
sys.stdin.read()
"""


def test_idle_workers_end_with_a_killed_parent() -> None:
    with parent_process(IDLE_PARENT) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert len(workers) == 2
        assert not any(map(has_ended, workers))
        parent.kill()
        until(lambda: all(map(has_ended, workers)), seconds=30)


BUSY_PARENT = """
pool = WorkerPool(Setup(), 1)
pool.submit(SampleJob("hang", 600.0, Path(sys.argv[1])))
sys.stdin.read()
"""


def test_busy_worker_ends_with_a_killed_parent(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with parent_process(BUSY_PARENT, file) as parent:
        until(lambda: file.exists() and file.read_text())
        parent.kill()
        until(lambda: has_ended(int(file.read_text())), seconds=30)


INTERRUPTED_PARENT = """
release = Path(sys.argv[1])
signal.signal(signal.SIGINT, lambda *_: release.touch())
pool = WorkerPool(Setup(), 1)
with pool:
    pool.start()
    future = pool.submit(SampleJob("wait", 60.0, release))
    print("ready", flush=True)
    while not future.done():  # a signal does not end a wait that is about to begin
        time.sleep(0.01)
    print(future.result(), release.exists(), pool.crashes, flush=True)
"""


def test_interruption_of_the_terminal_spares_workers(tmp_path: Path) -> None:
    with parent_process(INTERRUPTED_PARENT, tmp_path / "release") as parent:
        assert parent.stdout.readline() == "ready\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.communicate(timeout=60)[0] == "wait True 0\n"
        assert parent.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stop_signals_do_not_end_workers(tmp_path: Path, number: signal.Signals) -> None:
    with WorkerPool(Setup(), 1) as pool:
        first = submit(pool, "process")
        until(worker_processes)
        (worker,) = worker_processes()
        worker.send_signal(number)  # while it starts
        assert first.result(timeout=60) == worker.pid
        second = submit(pool, "wait", file=tmp_path / "release")
        until(second.running)
        worker.send_signal(number)
        (tmp_path / "release").touch()
        assert second.result(timeout=60) == "wait"
        assert pool.crashes == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_ended_thread_loses_no_job() -> None:
    with started_pool() as pool:
        (thread,) = (t for t in threading.enumerate() if t.name == "pocketgenre-worker-0")
        identity = ctypes.c_ulong(thread.ident)
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(SystemExit))
        assert result(pool, "next") == "next"
        until(lambda: not thread.is_alive())
        until(lambda: pool.is_ready)


def test_result_never_belongs_to_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(timer: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    with started_pool() as pool:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Timer, "start", fail)
            with pytest.raises(WorkerStartError, match="can't start new thread"):
                result(pool, "one")
        assert result(pool, "two") == "two"


MAIN_MODULE = """
print("main module imported", flush=True)
with WorkerPool(Setup(), 1) as pool:
    print(pool.submit(SampleJob("main module")).result(60), flush=True)
"""


def test_worker_does_not_import_the_main_module(tmp_path: Path) -> None:
    script = tmp_path / "script.py"  # without a guard against a second import
    script.write_text(IMPORTS + MAIN_MODULE)
    output = subprocess.check_output(
        [sys.executable, script], text=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
    )
    imported, main_module = output.splitlines()
    assert imported == "main module imported"
    assert Path(main_module).parts[-3:] == ("pocketgenre", "jobs", "worker.py")


def test_worker_starts_without_numpy() -> None:
    code = "import sys, pocketgenre.jobs.worker; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=REPOSITORY) == b"False\n"


def test_exit_does_not_wait_for_a_forgotten_generator(tmp_path: Path) -> None:
    code = f"""
import pathlib
from pocketgenre.jobs.pool import map_jobs
from tests.jobs.sample_jobs import SampleJob, Setup
hang = SampleJob("hang", file=pathlib.Path({str(tmp_path / "started")!r}))
jobs = [hang, SampleJob("wait", file=hang.file), SampleJob("hang"), SampleJob("hang")]
results = map_jobs(jobs, Setup(), 2)
print(next(results)[1])
"""
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, cwd=REPOSITORY, text=True, timeout=300) == "wait\n"
    until(lambda: not psutil.pid_exists(int((tmp_path / "started").read_text())))
