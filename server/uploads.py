"""Receive the files of a request into unnamed temporary files."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from pocketgenre.server.problems import Problem
from pocketgenre.server.telemetry import error_name, log
from pocketgenre.text import count_of, printable

_MAX_NAME_LENGTH = 200
_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 65_536


@dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Attributes
    ----------
    path : path at which other processes of this user can open the file
    name : file name given by the client, escaped for display
    """

    path: str
    name: str


@asynccontextmanager
async def receive_uploads(
    request: Request, max_files: int, *parts: str
) -> AsyncIterator[dict[str, list[Upload]]]:
    """Receive the files of a request; delete them when the context ends.

    The body is multipart/form-data, or the content of one file if there is only one part.

    Parameters
    ----------
    max_files : largest number of files in the request
    parts : names of the parts; each must occur at least once. Each file of the first is a job

    Yields
    ------
    dict
        the files of each part.

    Raises
    ------
    Problem
        if the body has another form, a part is missing, unknown or not a file, a file cannot be
        stored, or too many files wait for a worker.
    """
    form = FormData()
    try:
        try:
            form = await _receive(request, max_files, parts)
            files = await asyncio.to_thread(_files_by_part, form, parts)
        except OSError as error:
            fields = {"request": request.state.request_id, "error": error_name(error)}
            log.error("upload not stored", extra={"fields": fields})
            detail = f"The request body cannot be stored: {error.strerror}."
            raise Problem("no-space", detail) from error
        request.state.take_slots(len(files[parts[0]]))
        yield files
    finally:
        with suppress(OSError):  # it writes what it has in memory
            await form.close()


async def _receive(request: Request, max_files: int, parts: tuple[str, ...]) -> FormData:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _receive_form(request, max_files)
    if len(parts) == 1:
        return FormData([(parts[0], await _receive_file(request))])
    raise Problem(
        "not-multipart",
        "Send the files as multipart/form-data: curl"
        f" {' '.join(f'-F {part}=@FILE' for part in parts)}.",
    )


async def _receive_form(request: Request, max_files: int) -> FormData:
    try:
        return await request.form(
            max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except HTTPException as error:
        if "Too many files" in error.detail:
            raise Problem(
                "too-many-files", f"A request may have at most {count_of(max_files, 'file')}."
            ) from error
        raise Problem("invalid-request", f"The body cannot be read: {error.detail}") from error
    except UnicodeError:  # from the client's charset; its text contains the file name
        raise Problem(
            "invalid-request", "A file name or field is not valid in the body's charset."
        ) from None


async def _receive_file(request: Request) -> UploadFile:
    content = SpooledTemporaryFile(max_size=MultiPartParser.spool_max_size)  # noqa: SIM115
    name = request.query_params.get("name")
    file = UploadFile(content, size=0, filename=name)  # type: ignore[arg-type]  # as Starlette does
    try:
        async for chunk in request.stream():
            await file.write(chunk)
        if not file.size:
            raise Problem("invalid-request", "The body is empty; send a file: curl -T song.mp3.")
    except BaseException:
        await file.close()
        raise
    return file


def _files_by_part(form: FormData, parts: tuple[str, ...]) -> dict[str, list[Upload]]:
    uploads: dict[str, list[Upload]] = {part: [] for part in parts}
    for name, value in form.multi_items():
        if name not in uploads:
            expected = " and ".join(parts)
            raise Problem("invalid-request", f"The body may only have parts named {expected}.")
        if not isinstance(value, UploadFile):
            raise Problem("invalid-request", f"The part {name} must be a file with a file name.")
        uploads[name].append(Upload(_path_on_disk(value), _readable_name(value.filename or "")))
    for part, files in uploads.items():
        if not files:
            raise Problem("invalid-request", f"The part {part} is missing; send it as a file.")
    return uploads


def _readable_name(name: str) -> str:
    # Browsers escape quotes in the names of multipart/form-data like this, and no percent sign.
    return printable(name.replace("%22", '"'))[:_MAX_NAME_LENGTH]


def _path_on_disk(upload: UploadFile) -> str:
    # The temporary file has no name, so that nothing is left even if the server is killed.
    # Reading its descriptor moves it from memory to the disk.
    descriptor = upload.file.fileno()
    upload.file.flush()
    return f"/proc/{os.getpid()}/fd/{descriptor}"
