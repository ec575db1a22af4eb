"""What the routes share: the models, the workers, and what becomes of a worker's answer."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from pocketgenre.jobs.pool import WorkerCrash
from pocketgenre.server.model_registry import Exported, ModelRegistry
from pocketgenre.server.pool import KILLED, OVERDUE, Pool
from pocketgenre.server.problems import Problem
from pocketgenre.server.settings import Settings
from pocketgenre.server.tasks import Refusal, Task
from pocketgenre.server.telemetry import Metrics, log


@dataclass(frozen=True, eq=False)
class Service:
    """A server's parts."""

    settings: Settings
    shelf: ModelRegistry
    pool: Pool
    metrics: Metrics

    def model(self, name: str | None) -> Exported:
        """A model by its name, or the default one.

        Raises
        ------
        Problem
            there is none of that name.
        """
        found = self.shelf.by_name.get(name or self.shelf.default)
        if found is None:
            names = ", ".join(self.shelf.by_name)
            raise Problem("unknown-model", f"The models are {names}.")
        return found

    async def do(self, request: Request, tasks: Sequence[Task]) -> list[Any]:
        """Answers to tasks: what each is to give, or the :class:`Problem` that there was.

        Where the client leaves meanwhile, what has not begun is dropped.

        Raises
        ------
        ClientDisconnect
            it has left.
        """
        promises = [self.pool.submit(task) for task in tasks]
        answers = asyncio.gather(*map(asyncio.wrap_future, promises), return_exceptions=True)
        leaving = asyncio.ensure_future(request.receive())
        try:
            both: set[asyncio.Future[Any]] = {answers, leaving}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                for promise in promises:
                    promise.cancel()
                await answers  # a worker that has the file open is let finish
                raise ClientDisconnect
        finally:
            leaving.cancel()
        request_id = request.state.request_id
        pairs = zip(answers.result(), tasks, strict=True)
        return [self._outcome(answer, task, request_id) for answer, task in pairs]

    async def do_one(self, request: Request, task: Task) -> Any:
        """The answer to one task.

        Raises
        ------
        Problem
            there is none.
        """
        answer = (await self.do(request, [task]))[0]
        if isinstance(answer, Problem):
            raise answer
        return answer

    def _outcome(self, answer: Any, task: Task, request_id: str) -> Any:
        if isinstance(answer, WorkerCrash):
            answer = _post_mortem(answer, task)
            fields = {"request": request_id, "code": answer.code}
            log.warning("worker lost", extra={"fields": fields})
        elif isinstance(answer, Refusal):
            if answer.code == "internal":
                fields = {"request": request_id, "fault": answer.detail}
                log.error("fault in a worker", extra={"fields": fields})
                answer = Refusal("internal", "The log has more under the request's id.")
            answer = Problem(answer.code, answer.detail)
        outcome = answer.code if isinstance(answer, Problem) else "ok"
        self.metrics.files.labels(outcome).inc()
        return answer


def _post_mortem(death: WorkerCrash, task: Task) -> Problem:
    if death == OVERDUE:
        return Problem("out-of-time", f"It was given up after {task.seconds:g} s.")
    if death == KILLED:
        return Problem("unavailable", "The worker was ended from outside.", {"Retry-After": "1"})
    status = death.status
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Problem("crashed", f"It crashes its decoder ({name}).")
