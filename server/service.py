"""State shared by the routes: settings, models, worker pool and metrics."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pocketgenre.jobs.pool import WorkerCrash
from pocketgenre.server.model_registry import ModelRegistry, ServedModel
from pocketgenre.server.pool import KILLED, OVERDUE, Pool
from pocketgenre.server.problems import INTERNAL_DETAIL, Problem
from pocketgenre.server.settings import Settings
from pocketgenre.server.tasks import Refusal, Task
from pocketgenre.server.telemetry import Metrics, log


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
    pool: Pool
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
        pairs = zip(results.result(), tasks, strict=True)
        return [self._outcome(result, task, request_id) for result, task in pairs]

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

    def _outcome(self, result: Any, task: Task, request_id: str) -> Any:
        if isinstance(result, WorkerCrash):
            result = _crash_problem(result, task)
            fields = {"request": request_id, "code": result.code}
            log.warning("worker lost", extra={"fields": fields})
        elif isinstance(result, Refusal):
            if result.code == "internal":
                fields = {"request": request_id, "fault": result.detail}
                log.error("internal error in a worker", extra={"fields": fields})
                result = Refusal("internal", INTERNAL_DETAIL)
            result = Problem(result.code, result.detail)
        outcome = result.code if isinstance(result, Problem) else "ok"
        self.metrics.files.labels(outcome).inc()
        return result


def _crash_problem(crash: WorkerCrash, task: Task) -> Problem:
    if crash == OVERDUE:
        return Problem("out-of-time", f"The worker was stopped after {task.seconds:g} s.")
    if crash == KILLED:
        return Problem("unavailable", "The worker was killed.", {"Retry-After": "1"})
    status = crash.status
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Problem("crashed", f"The file crashes its decoder ({name}).")
