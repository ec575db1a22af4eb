"""Assemble the ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from pocketgenre import __version__
from pocketgenre.server.middleware import RequestGuard, UploadSlots
from pocketgenre.server.phone_page import PATH as PHONE_PATH
from pocketgenre.server.phone_page import PhonePage
from pocketgenre.server.problems import Problem, ProblemDetails
from pocketgenre.server.routes import router
from pocketgenre.server.service import Service

PAGE = Path(__file__).parent / "page"

_DESCRIPTION = """Predict the genre of songs with the code and the model files of the phone.

Errors are problem details (RFC 9457) with a stable `code`. Each response has an `X-Request-ID`,
which is that of the request if it has one. Uploaded files are deleted after the response."""


def create_app(service: Service) -> FastAPI:
    """Create the ASGI application.

    Parameters
    ----------
    service : state of the server. Its pool has to be started; it is closed at shutdown.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(service.pool.close)

    settings = service.settings
    # No Swagger page: it would load its script from another site.
    app = FastAPI(
        title="pocketgenre",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.add_api_route("/", _index, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    if settings.phone:
        app.mount(PHONE_PATH.rstrip("/"), PhonePage(settings.phone), name="phone")
    app.add_exception_handler(Problem, _respond_to_problem)
    app.add_exception_handler(RequestValidationError, _respond_to_validation_error)
    app.add_exception_handler(HTTPException, _respond_to_http_exception)
    _add_problems_to_openapi(app)
    slots = UploadSlots(
        settings.workers + settings.limits.queue, lambda: service.pool.estimated_wait
    )
    app.add_middleware(RequestGuard, settings=settings, metrics=service.metrics, slots=slots)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    return app


async def _index() -> FileResponse:
    return FileResponse(PAGE / "index.html")


async def _respond_to_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return error.response(request.state.request_id)


async def _respond_to_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    location = ".".join(map(str, first["loc"][1:]))
    problem = Problem("invalid-request", f"{location}: {first['msg']}.")
    return problem.response(request.state.request_id)


async def _respond_to_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {404: "unknown-path", 405: "wrong-method"}
    code = codes.get(error.status_code, "invalid-request")
    return Problem(code, f"{error.detail}.", error.headers).response(request.state.request_id)


def _add_problems_to_openapi(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = generate()
            document["components"]["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
            security = {"type": "http", "scheme": "bearer"}
            document["components"]["securitySchemes"] = {"token": security}
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
