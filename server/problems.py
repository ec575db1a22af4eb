"""Everything that can be wrong with a request, each with a code that stays (RFC 9457)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """What the problems of one code have in common."""

    status: int
    title: str


KINDS = {
    "token-needed": Kind(401, "The request bears no token, or a wrong one"),
    "foreign-origin": Kind(403, "A page from elsewhere may not ask"),
    "unknown-path": Kind(404, "There is nothing at this path"),
    "unknown-model": Kind(404, "There is no model of that name"),
    "unknown-segment": Kind(404, "The song has no such segment"),
    "wrong-method": Kind(405, "The path does not take this method"),
    "slow-upload": Kind(408, "The body did not arrive in time"),
    "too-large": Kind(413, "The body has too many bytes"),
    "too-long": Kind(413, "The song lasts too long"),
    "too-many-files": Kind(413, "Too many files in one request"),
    "not-multipart": Kind(415, "The body is not multipart/form-data"),
    "not-audio": Kind(415, "The file holds no audio that can be decoded"),
    "wrong-host": Kind(421, "The request was meant for another host"),
    "invalid-request": Kind(422, "A parameter or part is missing or wrong"),
    "invalid-features": Kind(422, "The features cannot be read"),
    "too-short": Kind(422, "The song is too short"),
    "damaged": Kind(422, "The file is damaged"),
    "not-judged": Kind(422, "The song cannot be judged"),
    "crashed": Kind(422, "The file crashes its decoder"),
    "too-much-memory": Kind(422, "The file needs too much memory"),
    "overloaded": Kind(429, "There is too much to do"),
    "internal": Kind(500, "The server has a fault"),
    "unavailable": Kind(503, "No worker is ready"),
    "out-of-time": Kind(504, "The file took too long"),
}
"""By code. Codes are kept from version to version; titles and details are for people."""


class Problem(Exception):  # noqa: N818  # it is what the RFC calls it
    """A request that can't be answered, and why.

    Parameters
    ----------
    code : a key of :data:`KINDS`
    detail : what was wrong with this request, a sentence
    headers : of the response
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.headers = code, detail, dict(headers or {})
        self.status = KINDS[code].status

    def response(self, request_id: str) -> JSONResponse:
        """As it goes over the wire."""
        body = ProblemDetails(
            type=f"urn:pocketgenre:problem:{self.code}",
            title=KINDS[self.code].title,
            status=self.status,
            detail=self.detail,
            code=self.code,
            request_id=request_id,
        )
        return JSONResponse(
            body.model_dump(), self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


class ProblemDetails(BaseModel):
    """A problem as RFC 9457 has it."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="`urn:pocketgenre:problem:` and the code")
    title: str = Field(description="What the problems of this code have in common")
    status: int = Field(description="Of the response")
    detail: str = Field(description="What was wrong with this request")
    code: str = Field(description="Stays the same from version to version", examples=list(KINDS))
    request_id: str = Field(description="As in the header X-Request-ID and in the log")


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Responses of an operation for OpenAPI, an example for each code."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        response = responses.setdefault(kind.status, {"description": "", "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], kind.title]))
        content = response["content"].setdefault(
            MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": {}}
        )
        value = ProblemDetails(
            type=f"urn:pocketgenre:problem:{code}",
            title=kind.title,
            status=kind.status,
            detail=f"{kind.title}.",
            code=code,
            request_id="4f0c1b5e9d3a4c57",
        )
        content["examples"][code] = {"value": value.model_dump()}
    return responses
