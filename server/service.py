"""Run tasks for the routes, which share settings, models, worker pool and metrics."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import JobFailure, WorkerPool
from pocketgenre.server.model_registry import ModelRegistry, ServedModel
from pocketgenre.server.problems import INTERNAL_DETAIL, Problem
from pocketgenre.server.settings import Settings
from pocketgenre.server.tasks import Refusal, Task
from pocketgenre.server.telemetry import Metrics, log

_RETRY_SOON = {"Retry-After": "1"}


@dataclass(frozen=True, eq=False)
class Service:
    """State of a server.

    Attributes
    ----------
    settings : settings of the server
    registry : available models
    pool : worker processes
    metrics : counters
    """

    settings: Settings
    registry: ModelRegistry
    pool: WorkerPool
    metrics: Metrics

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
        futures = [self.pool.submit(task) for task in tasks]
        results = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        disconnect = asyncio.ensure_future(request.receive())
        try:
            both: set[asyncio.Future[Any]] = {results, disconnect}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not results.done():
                for future in futures:
                    future.cancel()
                await results  # running tasks still need their file
                raise ClientDisconnect
        finally:
            disconnect.cancel()
        request_id = request.state.request_id
        return [self._outcome(result, request_id) for result in results.result()]

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
