"""Define error responses as problem details (RFC 9457), each with a stable code."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class ProblemType(NamedTuple):
    """Status and title that all problems of one code share."""

    status: int
    title: str


PROBLEM_TYPES = {
    "token-needed": ProblemType(401, "The request has no valid token"),
    "foreign-origin": ProblemType(403, "Requests from pages of this origin are not allowed"),
    "unknown-path": ProblemType(404, "The path does not exist"),
    "unknown-model": ProblemType(404, "The model does not exist"),
    "unknown-segment": ProblemType(404, "The song has no such segment"),
    "wrong-method": ProblemType(405, "The path does not support this method"),
    "slow-upload": ProblemType(408, "The request body did not arrive in time"),
    "too-large": ProblemType(413, "The request body is too large"),
    "too-long": ProblemType(413, "The song is too long"),
    "too-many-files": ProblemType(413, "The request contains too many files"),
    "not-multipart": ProblemType(415, "The request body is not multipart/form-data"),
    "not-audio": ProblemType(415, "The file contains no audio that can be decoded"),
    "wrong-host": ProblemType(421, "The request is addressed to another host"),
    "invalid-request": ProblemType(422, "A parameter or part is missing or invalid"),
    "invalid-features": ProblemType(422, "The features cannot be read"),
    "too-short": ProblemType(422, "The song is too short"),
    "damaged": ProblemType(422, "The file is damaged"),
    "not-classified": ProblemType(422, "The song cannot be classified"),
    "crashed": ProblemType(422, "The file crashes its decoder"),
    "too-much-memory": ProblemType(422, "The file needs too much memory"),
    "overloaded": ProblemType(429, "The server has too many requests"),
    "internal": ProblemType(500, "The server has an internal error"),
    "unavailable": ProblemType(503, "No worker is ready"),
    "out-of-time": ProblemType(504, "Processing the file took too long"),
    "no-space": ProblemType(507, "The server cannot store the request body"),
}
"""By code. Codes are stable across versions; titles and details may change."""

INTERNAL_DETAIL = "See the log entry with this request id."
"""Detail of all internal errors."""


class Problem(Exception):  # noqa: N818  # RFC 9457 calls it a problem
    """An error that is sent to the client.

    Parameters
    ----------
    code : a key of :data:`PROBLEM_TYPES`
    detail : one sentence about this occurrence
    headers : extra response headers
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})
        self.status = PROBLEM_TYPES[code].status

    def response(self, request_id: str) -> JSONResponse:
        """Build the HTTP response."""
        body = ProblemDetails(
            type=f"urn:pocketgenre:problem:{self.code}",
            title=PROBLEM_TYPES[self.code].title,
            status=self.status,
            detail=self.detail,
            code=self.code,
            request_id=request_id,
        )
        return JSONResponse(
            body.model_dump(), self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


class ProblemDetails(BaseModel):
    """Problem details as defined by RFC 9457."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="`urn:pocketgenre:problem:` followed by the code")
    title: str = Field(description="Short description of the code")
    status: int = Field(description="HTTP status of the response")
    detail: str = Field(description="Description of this occurrence")
    code: str = Field(description="Stable across versions", examples=list(PROBLEM_TYPES))
    request_id: str = Field(description="Same as the header X-Request-ID; it is in the log, too")


def problem_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Build the OpenAPI responses of an operation, with one example for each code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = PROBLEM_TYPES[code]
        response = responses.setdefault(status, {"description": "", "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], title]))
        content = response["content"].setdefault(
            MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": {}}
        )
        value = ProblemDetails(
            type=f"urn:pocketgenre:problem:{code}",
            title=title,
            status=status,
            detail=f"{title}.",
            code=code,
            request_id="4f0c1b5e9d3a4c57",
        )
        content["examples"][code] = {"value": value.model_dump()}
    return responses
