"""The server put together."""

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
from pocketgenre.server.middleware import Gate, UploadSlots
from pocketgenre.server.phone_page import PATH as PHONE_PATH
from pocketgenre.server.phone_page import PhonePage
from pocketgenre.server.problems import Problem, ProblemDetails
from pocketgenre.server.routes import router
from pocketgenre.server.service import Service

PAGE = Path(__file__).parent / "page"

_ABOUT = """What the phone would say of a song: the same code, the same model file.

Errors are problems (RFC 9457) with a `code` that stays. Every answer bears an `X-Request-ID`, the
request's own if it had one. Nothing that is uploaded is kept."""


def create_app(service: Service) -> FastAPI:
    """The ASGI application; at its end the workers are closed, which it takes started."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(service.pool.close)

    settings = service.settings
    # Swagger's page would load its script from elsewhere.
    app = FastAPI(
        title="pocketgenre",
        version=__version__,
        description=_ABOUT,
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
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _from_framework)
    _document_problems(app)
    places = UploadSlots(settings.workers + settings.limits.waiting, lambda: service.pool.wait)
    app.add_middleware(Gate, settings=settings, metrics=service.metrics, places=places)
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


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    return error.response(request.state.request_id)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"][1:]))
    problem = Problem("invalid-request", f"{place}: {first['msg']}.")
    return problem.response(request.state.request_id)


async def _from_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    codes = {404: "unknown-path", 405: "wrong-method"}
    code = codes.get(error.status_code, "invalid-request")
    return Problem(code, f"{error.detail}.", error.headers).response(request.state.request_id)


def _document_problems(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = generate()
            document["components"]["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
            security = {"type": "http", "scheme": "bearer"}
            document["components"]["securitySchemes"] = {"token": security}
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
