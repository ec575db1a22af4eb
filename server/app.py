"""Assemble the ASGI application."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from pocketgenre import __version__
from pocketgenre.server.middleware import RequestGuard, UploadSlots
from pocketgenre.server.openapi import TAGS, complete_openapi
from pocketgenre.server.pages import DOCS_PATH, PAGE, PHONE_PATH, PhonePage
from pocketgenre.server.problems import Problem
from pocketgenre.server.routes import router
from pocketgenre.server.service import Service

_DESCRIPTION = """Predict the genre of songs with the code and the model files of the phone.

Errors are problem details (RFC 9457) with a stable `code`. Each response has an `X-Request-ID`,
which is that of the request if it has one. Uploaded files are deleted after the response."""


def create_app(service: Service) -> FastAPI:
    """Create the ASGI application.

    Parameters
    ----------
    service : state of the server. Its pool has to be started; the caller ends it.
    """
    settings = service.settings
    # FastAPI's pages load their scripts from another site.
    app = FastAPI(
        title="pocketgenre",
        version=__version__,
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.add_api_route("/", _index, include_in_schema=False)
    app.add_api_route(DOCS_PATH, _docs, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE, html=True), name="page")
    if settings.phone:
        app.mount(PHONE_PATH.rstrip("/"), PhonePage(settings.phone), name="phone")
    app.add_exception_handler(Problem, _respond_to_problem)
    app.add_exception_handler(RequestValidationError, _respond_to_validation_error)
    app.add_exception_handler(HTTPException, _respond_to_http_exception)
    complete_openapi(app, settings)
    slots = UploadSlots(settings.workers + settings.limits.queue, lambda: service.estimated_wait)
    app.add_middleware(RequestGuard, settings=settings, metrics=service.metrics, slots=slots)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    return app


async def _index() -> FileResponse:
    return FileResponse(PAGE / "index.html")


async def _docs() -> FileResponse:
    return FileResponse(PAGE / "docs.html")


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
    headers = dict(error.headers or {})
    if code == "wrong-method":  # Starlette names the methods of one of the path's routes
        routes = [*router.routes, *request.app.routes]
        matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
        methods = {method for route in matching for method in getattr(route, "methods", ())}
        methods = methods or {"GET"}  # of a folder of files
        headers["Allow"] = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    return Problem(code, f"{error.detail}.", headers).response(request.state.request_id)
