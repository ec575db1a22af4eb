"""Process jobs on a Dask worker, in separate processes as on one machine.

A decoder crash ends a job process, not the Dask worker, whose threads only wait.
"""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Worker as DaskWorker
from distributed import WorkerPlugin, get_worker

from pocketgenre.cluster.fsspec_files import local_copy
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.jobs.process import JobFailure, JobSetup
from pocketgenre.library.discovery import is_address

MAX_ATTEMPTS = 3
"""Attempts at a job whose Dask worker is lost, whose process is killed or whose file is missing."""

_PAUSE = 0.5  # seconds before the second attempt, doubled each time


class JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """Plug-in that sends the setup, with the model, to each Dask worker once.

    Parameters
    ----------
    setup : see :data:`pocketgenre.jobs.process.JobSetup`
    """

    def __init__(self, setup: JobSetup) -> None:
        self._setup = setup

    def setup(self, worker: DaskWorker) -> None:
        """Create the pool of a Dask worker; called by Dask."""
        self._folder = worker.local_directory
        self._pool = WorkerPool(self._setup, worker.state.nthreads)

    def teardown(self, worker: DaskWorker) -> None:  # noqa: ARG002  # signature of Dask
        """End all processes; called by Dask."""
        self._pool.terminate()

    def run(self, job: Any) -> Any:
        """Process a job; a file at an address is copied to this machine first.

        Raises
        ------
        PocketGenreError
            if no process can be started or set up.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                with self._with_local_file(job) as local_job:
                    result = self._pool.submit(local_job).result()
            except OSError as error:
                reason = f"cannot be read: {error.strerror or error}"
                result = JobFailure(reason, is_transient=True)
                if isinstance(error, FileNotFoundError | PermissionError):
                    return result
            else:
                if not isinstance(result, JobFailure) or result.kind != "killed":
                    return result
                result = JobFailure(f"{MAX_ATTEMPTS} worker processes were killed from outside")
            if attempt < MAX_ATTEMPTS:
                time.sleep(_PAUSE * 2 ** (attempt - 1))
        return result

    @contextmanager
    def _with_local_file(self, job: Any) -> Iterator[Any]:
        """Replace an address in a job by a local copy of the file."""
        path = getattr(job, "path", None)
        if path is None or not is_address(path):
            yield job
            return
        with local_copy(path, job.timeout, self._folder) as copy:
            yield dataclasses.replace(job, path=copy)


def run_job(plugin: str, job: Any) -> Any:
    """Run a job with the plug-in of that name; the task that is sent to the cluster."""
    return get_worker().plugins[plugin].run(job)


async def remove_plugin(plugin: str, dask_worker: DaskWorker) -> None:
    """Remove a plug-in from a Dask worker by its name."""
    if plugin in dask_worker.plugins:
        await dask_worker.plugin_remove(name=plugin)
