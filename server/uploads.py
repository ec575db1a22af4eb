"""Receive the files of a multipart request into unnamed temporary files."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pocketgenre.server.problems import Problem
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

    Parameters
    ----------
    max_files : largest number of files in the request
    parts : names of the parts; each must occur at least once

    Yields
    ------
    dict
        the files of each part.

    Raises
    ------
    Problem
        if the body is not multipart, or a part is missing, unknown or not a file.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise Problem("not-multipart", "Send the files as multipart/form-data: curl -F file=@song.")
    try:
        form = await request.form(
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
    try:
        yield await asyncio.to_thread(_files_by_part, form, parts)
    finally:
        await form.close()


def _files_by_part(form: FormData, parts: tuple[str, ...]) -> dict[str, list[Upload]]:
    uploads: dict[str, list[Upload]] = {part: [] for part in parts}
    for name, value in form.multi_items():
        if name not in uploads:
            expected = " and ".join(parts)
            raise Problem("invalid-request", f"The body may only have parts named {expected}.")
        if not isinstance(value, UploadFile):
            raise Problem("invalid-request", f"The part {name} must be a file with a file name.")
        uploads[name].append(
            Upload(_path_on_disk(value), printable(value.filename or "")[:_MAX_NAME_LENGTH])
        )
    for part, files in uploads.items():
        if not files:
            raise Problem("invalid-request", f"The part {part} is missing; send it as a file.")
    return uploads


def _path_on_disk(upload: UploadFile) -> str:
    # The temporary file has no name, so that nothing is left even if the server is killed.
    # Reading its descriptor moves it from memory to the disk.
    descriptor = upload.file.fileno()
    upload.file.flush()
    return f"/proc/{os.getpid()}/fd/{descriptor}"
