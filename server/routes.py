"""Define the routes of the HTTP API."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request

from pocketgenre.library.serialize import no_prediction
from pocketgenre.prediction import LabelConfig, VoteRule
from pocketgenre.server.problems import Problem, problem_responses
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
from pocketgenre.server.tasks import (
    AudioUpload,
    ClassifyTask,
    FeaturesTask,
    ParityTask,
    SegmentsTask,
)
from pocketgenre.server.uploads import Upload, receive_uploads

router = APIRouter()

_Route = TypeVar("_Route", bound=Callable[..., Any])

_ACCESS_PROBLEMS = ("token-needed", "foreign-origin", "wrong-host")
_UPLOAD_PROBLEMS = (
    *_ACCESS_PROBLEMS,
    *("unknown-model", "slow-upload", "too-large", "too-long", "too-many-files"),
    *("not-audio", "invalid-request", "too-short", "damaged", "not-classified", "crashed"),
    *("too-much-memory", "overloaded", "internal", "unavailable", "out-of-time", "no-space"),
)
_FILE = {"type": "string", "format": "binary"}
# For the OpenAPI document only; the server ignores a part's media type.
_MEDIA_TYPES = {"file": "audio/*", "features": "application/x-npy"}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _label_config(
    vote: Annotated[
        VoteRule,
        Query(
            description="`majority`: each segment votes for its most probable genre;"
            " `probability`: the genre with the highest mean probability wins"
        ),
    ] = "majority",
    min_confidence: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            description="The genre is `uncertain` below this `confidence`; by default the threshold"
            " of the model, above which 9 of 10 labels are correct",
        ),
    ] = None,
    min_margin: Annotated[
        float, Query(ge=-1, le=1, description="The genre is `uncertain` below this `margin`")
    ] = -1.0,
) -> LabelConfig:
    return LabelConfig(vote, min_confidence, min_margin)


ServiceDependency = Annotated[Service, Depends(_service)]
LabelConfigQuery = Annotated[LabelConfig, Depends(_label_config)]
ModelQuery = Annotated[
    str | None,
    Query(description="Name of a model in `/v1/models`", examples=["standard"], max_length=200),
]


def _song_name(
    name: Annotated[
        str, Query(description="Name of the song in the response, if the body is the song itself")
    ] = "",
) -> str:
    return name  # receive_uploads reads it


def _multipart(**parts: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": parts, "required": list(parts)}
    schema["additionalProperties"] = False
    encoding = {part: {"contentType": _MEDIA_TYPES[part]} for part in parts}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _song_route(
    path: str, file: dict[str, Any], tag: str, *problems: str, **options: Any
) -> Callable[[_Route], _Route]:
    """Register a route that takes songs: POST with parts or one song, PUT with one song.

    Parameters
    ----------
    file : schema of the part ``file``
    problems : codes besides those of all uploads
    """
    raw = {"audio/*": {"schema": _FILE}}
    responses = options.pop("responses", {}) | problem_responses(*_UPLOAD_PROBLEMS, *problems)
    options |= {"responses": responses, "tags": [tag], "dependencies": [Depends(_song_name)]}

    def register(function: _Route) -> _Route:
        router.put(
            path,
            operation_id=f"{function.__name__}_raw",
            openapi_extra=_body(raw),
            **options,
        )(function)
        return router.post(path, openapi_extra=_body(_multipart(file=file) | raw), **options)(
            function
        )

    return register


@_song_route(
    "/v1/classify",
    {"type": "array", "items": _FILE, "minItems": 1},
    "songs",
    response_model=Classification,
)
async def classify(
    request: Request,
    service: ServiceDependency,
    label_config: LabelConfigQuery,
    model: ModelQuery = None,
) -> Classification:
    """Predict the genre of one or more songs, exactly as `scan-library` and the phone do.

    Send each file as a part named `file`, or one song as the body. If a file cannot be classified,
    its entry has an `error` instead of a genre. If no file can be classified, the response is the
    first file's problem.
    """
    chosen = service.model(model)
    async with receive_uploads(request, service.settings.limits.files, "file") as files:
        timeout = service.settings.limits.job_seconds
        tasks = [
            ClassifyTask(_song(service, upload), chosen.name, timeout, label_config)
            for upload in files["file"]
        ]
        results = await service.run(request, tasks)
    if all(isinstance(result, Problem) for result in results):
        raise results[0]
    names = [upload.name for upload in files["file"]]
    songs = [
        _failed_song(name, result) if isinstance(result, Problem) else result
        for name, result in zip(names, results, strict=True)
    ]
    return Classification(model=chosen.id, songs=songs)


@_song_route("/v1/classify/segments", _FILE, "songs", response_model=Segments)
async def classify_segments(
    request: Request,
    service: ServiceDependency,
    label_config: LabelConfigQuery,
    model: ModelQuery = None,
    outline: Annotated[
        bool, Query(description="Add the waveform and the features, reduced for drawing")
    ] = False,
) -> Response:
    """Predict the genre probabilities of each 3 s segment of a song."""
    chosen = service.model(model)
    async with receive_uploads(request, 1, "file") as files:
        song = _song(service, files["file"][0])
        timeout = service.settings.limits.job_seconds
        task = SegmentsTask(song, chosen.name, timeout, label_config, outline)
        return _json_response(await service.run_one(request, task))


@_song_route(
    "/v1/features",
    _FILE,
    "porting",
    "unknown-segment",
    response_model=Features,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": _FILE}},
            "description": "JSON, or a file for `numpy.load` with `format=npy`",
        }
    },
)
async def features(
    request: Request,
    service: ServiceDependency,
    model: ModelQuery = None,
    first: Annotated[
        int, Query(ge=0, le=100_000, description="Number of the first segment, counted from 0")
    ] = 0,
    count: Annotated[int, Query(ge=1, le=40, description="Number of segments")] = 10,
    format: Annotated[Literal["json", "npy"], Query(description="Format of the response")] = "json",
) -> Response:
    """Compute the features of each segment: MFCC, or log-mel bands.

    Use it to debug a port of the features to Kotlin, Swift or JavaScript.
    """
    chosen = service.model(model)
    async with receive_uploads(request, 1, "file") as files:
        song = _song(service, files["file"][0])
        timeout = service.settings.limits.job_seconds
        task = FeaturesTask(song, chosen.name, timeout, first, count, format)
        content = await service.run_one(request, task)
    if format == "npy":
        return Response(content, media_type="application/octet-stream")
    return _json_response(content)


@router.post(
    "/v1/parity",
    response_model=Parity,
    responses=problem_responses(
        *_UPLOAD_PROBLEMS, "not-multipart", "unknown-segment", "invalid-features"
    ),
    openapi_extra=_body(_multipart(file=_FILE, features=_FILE)),
    tags=["porting"],
)
async def parity(
    request: Request,
    service: ServiceDependency,
    model: ModelQuery = None,
    first: Annotated[
        int,
        Query(ge=0, le=100_000, description="Number of the first segment in `features`, from 0"),
    ] = 0,
) -> Response:
    """Compare a device's features of a song with the reference and find the cause of differences.

    The part `features` is a `.npy` file or JSON (nested lists, or an object whose `features` are
    nested lists) of shape (frames, coefficients) or (segments, frames, coefficients). To find the
    cause, the reference is computed with each known error, until one gives the same features.
    """
    chosen = service.model(model)
    async with receive_uploads(request, 2, "file", "features") as files:
        song = _song(service, files["file"][0])
        timeout = service.settings.limits.job_seconds
        task = ParityTask(song, files["features"][0].path, chosen.name, timeout, first)
        result: Parity = await service.run_one(request, task)
    return _json_response(result.model_dump_json().encode())


@router.get(
    "/v1/model",
    responses=problem_responses(*_ACCESS_PROBLEMS, "unknown-model", "invalid-request"),
    tags=["models"],
)
async def describe_model(service: ServiceDependency, model: ModelQuery = None) -> ModelDescription:
    """Return a model's card, labels, feature parameters, hash and operations."""
    return service.model(model).description()


@router.get("/v1/models", responses=problem_responses(*_ACCESS_PROBLEMS), tags=["models"])
async def list_models(service: ServiceDependency) -> Models:
    """Return the available models."""
    return service.registry.list()


@router.get(
    "/healthz", responses=problem_responses("foreign-origin", "wrong-host"), tags=["operation"]
)
async def health() -> Health:
    """Return 200 while the server is running, without waiting for a worker."""
    return Health()


@router.get(
    "/readyz",
    responses=problem_responses("foreign-origin", "wrong-host", "unavailable"),
    tags=["operation"],
)
async def readiness(service: ServiceDependency) -> Readiness:
    """Return 200 if every worker is running and has loaded its model."""
    if not service.pool.is_ready:
        raise Problem("unavailable", "A worker is starting.", {"Retry-After": "1"})
    return Readiness(workers=service.settings.workers, model=service.registry.default)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problem_responses(*_ACCESS_PROBLEMS)},
    tags=["operation"],
)
async def metrics(service: ServiceDependency) -> Response:
    """Return metrics in the format of Prometheus."""
    service.metrics.waiting.set(service.waiting)
    service.metrics.busy.set(service.pool.busy)
    service.metrics.deaths.set(service.pool.crashes)
    content = generate_latest(service.metrics.registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


def _song(service: Service, upload: Upload) -> AudioUpload:
    return AudioUpload(upload.path, upload.name, service.settings.limits.audio_seconds)


def _failed_song(name: str, problem: Problem) -> Song:
    failure = Failure(code=problem.code, detail=problem.detail)
    return Song(name=name, error=failure, **no_prediction())


def _json_response(content: bytes) -> Response:
    return Response(content, media_type="application/json")
