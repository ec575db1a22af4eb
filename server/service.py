"""Run tasks for the routes, which share settings, models, worker pool and metrics."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import JobFailure, WorkerPool
from pocketgenre.jobs.process import WorkerStartError
from pocketgenre.server.model_registry import ModelRegistry, ServedModel
from pocketgenre.server.problems import INTERNAL_DETAIL, Problem
from pocketgenre.server.settings import Settings
from pocketgenre.server.tasks import Refusal, Task
from pocketgenre.server.telemetry import Metrics, log

_RETRY_SOON = {"Retry-After": "1"}


class Service:
    """State of a server.

    Requests take turns: each submits one file at a time to the pool, so that one with many files
    does not delay the others.

    Parameters
    ----------
    settings : settings of the server
    registry : available models
    pool : worker processes
    metrics : counters
    """

    def __init__(
        self, settings: Settings, registry: ModelRegistry, pool: WorkerPool, metrics: Metrics
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.pool = pool
        self.metrics = metrics
        # One job more than there are workers, so that no worker waits for this process.
        self._turns = asyncio.Semaphore(settings.workers + 1)
        self._without_turn = 0

    @property
    def waiting(self) -> int:
        """Number of files that no worker has begun."""
        return self._without_turn + self.pool.queued

    @property
    def estimated_wait(self) -> float:
        """Time until the waiting files have begun, estimated from recent ones [s]."""
        return self.pool.seconds_per_job * self.waiting / self.settings.workers

    def model(self, name: str | None) -> ServedModel:
        """Return a model by its name, or the default one.

        Raises
        ------
        Problem
            if there is no model with this name.
        """
        model = self.registry.by_name.get(name or self.registry.default)
        if model is None:
            names = ", ".join(self.registry.by_name)
            raise Problem("unknown-model", f"The available models are {names}.")
        return model

    async def run(self, request: Request, tasks: Sequence[Task]) -> list[Any]:
        """Run tasks in the worker pool.

        If the client disconnects, tasks that have not started are cancelled.

        Returns
        -------
        list
            the result of each task, or the :class:`Problem` that occurred.

        Raises
        ------
        ClientDisconnect
            if the client has disconnected.
        """
        submitted: list[Future[Any]] = []
        results = asyncio.ensure_future(self._run_in_turns(tasks, submitted))
        disconnect = asyncio.ensure_future(request.receive())
        try:
            both: set[asyncio.Future[Any]] = {results, disconnect}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            is_connected = results.done()
        finally:
            disconnect.cancel()
            results.cancel()
            for future in submitted:
                future.cancel()
        if not is_connected:
            # Running tasks still need their file.
            await asyncio.gather(*map(asyncio.wrap_future, submitted), return_exceptions=True)
            raise ClientDisconnect
        request_id = request.state.request_id
        return [self._outcome(result, request_id) for result in results.result()]

    async def _run_in_turns(
        self, tasks: Sequence[Task], submitted: list["Future[Any]"]
    ) -> list[Any]:
        """Submit one task in each turn, and return all results and exceptions."""
        results = []
        left = len(tasks)
        self._without_turn += left
        try:
            for task in tasks:
                await self._turns.acquire()
                self._without_turn -= 1
                left -= 1
                submitted.append(self._submit(task))
                results.append(asyncio.wrap_future(submitted[-1]))
                results[-1].add_done_callback(lambda _: self._turns.release())
            return await asyncio.gather(*results, return_exceptions=True)
        finally:
            self._without_turn -= left

    def _submit(self, task: Task) -> "Future[Any]":
        try:
            return self.pool.submit(task)
        except RuntimeError as error:
            failed: Future[Any] = Future()
            failed.set_exception(WorkerStartError(f"No worker can be started: {error}."))
            return failed

    async def run_one(self, request: Request, task: Task) -> Any:
        """Run one task and return its result.

        Raises
        ------
        Problem
            if the task failed.
        ClientDisconnect
            if the client has disconnected.
        """
        result = (await self.run(request, [task]))[0]
        if isinstance(result, Problem):
            raise result
        return result

    def _outcome(self, result: Any, request_id: str) -> Any:
        if isinstance(result, JobFailure):
            result = _failure_problem(result)
            fields = {"request": request_id, "code": result.code}
            log.warning("worker lost", extra={"fields": fields})
        elif isinstance(result, PocketGenreError):  # no worker can be started
            log.error("no worker", extra={"fields": {"request": request_id}})
            result = Problem("unavailable", str(result), _RETRY_SOON)
        elif isinstance(result, BaseException):
            raise result
        elif isinstance(result, Refusal):
            if result.code == "internal":
                fields = {"request": request_id, "fault": result.detail}
                log.error("internal error in a worker", extra={"fields": fields})
                result = Refusal("internal", INTERNAL_DETAIL)
            result = Problem(result.code, result.detail)
        outcome = result.code if isinstance(result, Problem) else "ok"
        self.metrics.files.labels(outcome).inc()
        return result


def _failure_problem(failure: JobFailure) -> Problem:
    code = {"timeout": "out-of-time", "killed": "unavailable"}.get(failure.kind, "crashed")
    detail = f"{failure.reason[0].upper()}{failure.reason[1:]}."
    return Problem(code, detail, _RETRY_SOON if failure.is_transient else None)
