"""Complete the OpenAPI document that FastAPI generates."""

from typing import Any

from fastapi import FastAPI

from pocketgenre.server.middleware import is_public
from pocketgenre.server.problems import ProblemDetails, problem_responses
from pocketgenre.server.settings import Settings

TAGS = [
    {"name": "songs", "description": "Predict the genre of songs."},
    {"name": "porting", "description": "Check features that were ported to another platform."},
    {"name": "models", "description": "Describe the models."},
    {"name": "operation", "description": "Monitor the server."},
]

_STRING: dict[str, Any] = {"schema": {"type": "string"}, "required": True}
_SECONDS: dict[str, Any] = {"schema": {"type": "integer", "minimum": 1}, "required": True}
_REQUEST_ID = {"description": "Id of the request, from its X-Request-ID if it has one"} | _STRING
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"description": "`Bearer`"} | _STRING},
    "405": {"Allow": {"description": "Methods of the path"} | _STRING},
    "429": {"Retry-After": {"description": "Seconds until slots are free"} | _SECONDS},
    "503": {"Retry-After": {"description": "Seconds until a worker is ready"} | _SECONDS},
}
"""Headers of responses by status, in addition to X-Request-ID."""


def complete_openapi(app: FastAPI, settings: Settings) -> None:
    """Add problems, response headers and the token to the document of an application."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = generate()
            components = document["components"]
            components["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            # FastAPI's own schemas of errors, which no response has.
            for unused in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(unused, None)
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _complete(operation, is_public=is_public(path), settings=settings)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], *, is_public: bool, settings: Settings) -> None:
    responses: dict[str, Any] = operation["responses"]
    responses |= {str(status): value for status, value in problem_responses("wrong-method").items()}
    for status, response in responses.items():
        response["headers"] = {"X-Request-ID": _REQUEST_ID} | _HEADERS.get(status, {})
    if not is_public:
        operation["security"] = [{"token": []}] if settings.token else [{}, {"token": []}]
