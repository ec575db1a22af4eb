"""The paths of the API."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pocketgenre.library.label import Thresholds
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request

from pocketgenre.server.parity.comparison import Compare
from pocketgenre.server.problems import Problem, documented
from pocketgenre.server.schemas import (
    Classification,
    Failure,
    Features,
    Health,
    ModelDescription,
    Models,
    Parity,
    Readiness,
    Segments,
    Song,
)
from pocketgenre.server.service import Service
from pocketgenre.server.tasks import Classify, Compute, Dissect, Listening, Recording
from pocketgenre.server.uploads import Upload, received

router = APIRouter()

_CLOSED = ("token-needed", "foreign-origin", "wrong-host")
_UPLOAD = (
    *_CLOSED,
    *("unknown-model", "slow-upload", "too-large", "too-long", "too-many-files"),
    *("not-multipart", "not-audio", "invalid-request", "too-short", "damaged", "not-judged"),
    *("crashed", "too-much-memory", "overloaded", "internal", "unavailable", "out-of-time"),
)
_FILE = {"type": "string", "format": "binary"}
_KINDS = {"file": "audio/*", "features": "application/x-npy"}  # for OpenAPI; the content decides


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _listening(
    vote: Annotated[
        Literal["majority", "probability"],
        Query(description="A voice for each segment, or its probabilities"),
    ] = "majority",
    min_confidence: Annotated[
        float, Query(ge=0, le=1, description="With a smaller share of the vote: `uncertain`")
    ] = 0.0,
    min_margin: Annotated[
        float, Query(ge=-1, le=1, description="Closer to the next genre than this: `uncertain`")
    ] = -1.0,
) -> Listening:
    return Listening(vote, Thresholds(min_confidence, min_margin))


TheService = Annotated[Service, Depends(_service)]
TheListening = Annotated[Listening, Depends(_listening)]
ModelChoice = Annotated[
    str | None,
    Query(description="One of `/v1/models`, by name", examples=["standard"], max_length=200),
]


def _body(**parts: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": parts, "required": list(parts)}
    schema["additionalProperties"] = False
    kinds = {part: {"contentType": _KINDS[part]} for part in parts}
    content = {"multipart/form-data": {"schema": schema, "encoding": kinds}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/v1/classify",
    response_model=Classification,
    responses=documented(*_UPLOAD),
    openapi_extra=_body(file={"type": "array", "items": _FILE, "minItems": 1}),
    tags=["songs"],
)
async def classify(
    request: Request, service: TheService, listening: TheListening, model: ModelChoice = None
) -> Classification:
    """The genre of one song or of several: what `scan-library` and the phone would say.

    Each file is a part called `file`. Of several, one that can't be judged has its reason in
    place of a genre; where none can, the answer is the first one's problem.
    """
    chosen = service.model(model)
    async with received(request, service.settings.limits.files, "file") as files:
        seconds = service.settings.limits.work_seconds
        tasks = [
            Classify(_recording(service, upload), chosen.name, seconds, listening)
            for upload in files["file"]
        ]
        answers = await service.do(request, tasks)
    if all(isinstance(answer, Problem) for answer in answers):
        raise answers[0]
    names = [upload.name for upload in files["file"]]
    songs = [
        _failed(name, answer) if isinstance(answer, Problem) else answer
        for name, answer in zip(names, answers, strict=True)
    ]
    return Classification(model=chosen.id, songs=songs)


@router.post(
    "/v1/classify/segments",
    response_model=Segments,
    responses=documented(*_UPLOAD),
    openapi_extra=_body(file=_FILE),
    tags=["songs"],
)
async def classify_segments(
    request: Request,
    service: TheService,
    listening: TheListening,
    model: ModelChoice = None,
    outline: Annotated[
        bool, Query(description="With the waveform and the features, small enough to be drawn")
    ] = False,
) -> Response:
    """What the network says of each 3 s segment of a song, in the order of time."""
    chosen = service.model(model)
    async with received(request, 1, "file") as files:
        recording = _recording(service, files["file"][0])
        seconds = service.settings.limits.work_seconds
        task = Dissect(recording, chosen.name, seconds, listening, outline)
        return _ready_json(await service.do_one(request, task))


@router.post(
    "/v1/features",
    response_model=Features,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": _FILE}},
            "description": "JSON, or with `format=npy` a file for `numpy.load`",
        },
        **documented(*_UPLOAD, "unknown-segment"),
    },
    openapi_extra=_body(file=_FILE),
    tags=["porting"],
)
async def features(
    request: Request,
    service: TheService,
    model: ModelChoice = None,
    first: Annotated[int, Query(ge=0, le=100_000, description="Number of a segment")] = 0,
    count: Annotated[int, Query(ge=1, le=40, description="How many segments from it on")] = 10,
    format: Annotated[Literal["json", "npy"], Query(description="Of the answer")] = "json",
) -> Response:
    """What the network takes for each segment: MFCC, or the logarithm of the mel bands.

    To debug a port of the front end to Kotlin, Swift or JavaScript.
    """
    chosen = service.model(model)
    async with received(request, 1, "file") as files:
        recording = _recording(service, files["file"][0])
        seconds = service.settings.limits.work_seconds
        task = Compute(recording, chosen.name, seconds, first, count, format)
        content = await service.do_one(request, task)
    if format == "npy":
        return Response(content, media_type="application/octet-stream")
    return _ready_json(content)


@router.post(
    "/v1/parity",
    response_model=Parity,
    responses=documented(*_UPLOAD, "unknown-segment", "invalid-features"),
    openapi_extra=_body(file=_FILE, features=_FILE),
    tags=["porting"],
)
async def parity(
    request: Request,
    service: TheService,
    model: ModelChoice = None,
    first: Annotated[
        int, Query(ge=0, le=100_000, description="Number of the segment that they begin with")
    ] = 0,
) -> Response:
    """A device's features of a song beside those computed here: where they differ, and why.

    The part `features` is a `.npy` file, or JSON (nested lists, or an object with such a list as
    `features`): a table (frames, coefficients), or (segments, frames, coefficients). The cause is
    found by making known mistakes here until the differences are gone.
    """
    chosen = service.model(model)
    async with received(request, 2, "file", "features") as files:
        recording = _recording(service, files["file"][0])
        seconds = service.settings.limits.work_seconds
        task = Compare(recording, files["features"][0].path, chosen.name, seconds, first)
        answer: Parity = await service.do_one(request, task)
    return _ready_json(answer.model_dump_json().encode())


@router.get(
    "/v1/model", responses=documented(*_CLOSED, "unknown-model", "invalid-request"), tags=["models"]
)
async def describe_model(service: TheService, model: ModelChoice = None) -> ModelDescription:
    """A model's card, labels, front end, hash and operations."""
    return service.model(model).description()


@router.get("/v1/models", responses=documented(*_CLOSED), tags=["models"])
async def list_models(service: TheService) -> Models:
    """The models that `?model=` chooses among."""
    return service.shelf.list()


@router.get("/healthz", responses=documented("foreign-origin", "wrong-host"), tags=["operation"])
async def health() -> Health:
    """Whether the server is up; however much it has to do, it says so at once."""
    return Health()


@router.get(
    "/readyz",
    responses=documented("foreign-origin", "wrong-host", "unavailable"),
    tags=["operation"],
)
async def readiness(service: TheService) -> Readiness:
    """Whether every worker runs and has its model loaded."""
    if not service.pool.is_ready:
        raise Problem("unavailable", "A worker is being started.", {"Retry-After": "1"})
    return Readiness(workers=service.settings.workers, model=service.shelf.default)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **documented(*_CLOSED)},
    tags=["operation"],
)
async def metrics(service: TheService) -> Response:
    """Counters for Prometheus."""
    counted = service.metrics
    counted.waiting.set(service.pool.waiting)
    counted.busy.set(service.pool.busy)
    counted.deaths.set(service.pool.deaths)
    return Response(generate_latest(counted.registry), media_type=CONTENT_TYPE_LATEST)


def _recording(service: Service, upload: Upload) -> Recording:
    return Recording(upload.path, upload.name, service.settings.limits.audio_seconds)


def _failed(name: str, problem: Problem) -> Song:
    nothing = dict.fromkeys(
        ("genre", "confidence", "probability", "margin", "top", "votes", "probabilities")
    )
    failure = Failure(code=problem.code, detail=problem.detail)
    return Song(name=name, segments=0, timeline=None, error=failure, **nothing)


def _ready_json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
