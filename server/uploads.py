"""Files of a multipart request, on disk without a name while they are needed."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from pocketgenre.server.problems import Problem
from pocketgenre.text import printable

_LONGEST_NAME = 200
_MOST_FIELDS = 16
_FIELD_BYTES = 65_536


@dataclass(frozen=True)
class Upload:
    """A file that was received.

    Attributes
    ----------
    path : where another process of this user can open it
    name : what the client calls it, fit to be shown
    """

    path: str
    name: str


@asynccontextmanager
async def received(
    request: Request, most: int, *parts: str
) -> AsyncIterator[dict[str, list[Upload]]]:
    """Files of a request by the name of their part; they are gone afterwards, whatever happens.

    Parameters
    ----------
    most : files in all
    parts : names that files may have, each at least once

    Raises
    ------
    Problem
        it is not multipart, or a part is missing, unknown or no file.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem("not-multipart", "Send the files as multipart/form-data: curl -F file=@song.")
    try:
        form = await request.form(
            max_files=most, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
        )
    except HTTPException as error:
        if "Too many files" in error.detail:
            raise Problem("too-many-files", f"A request takes {most} files at most.") from error
        raise Problem("invalid-request", f"The body cannot be read: {error.detail}") from error
    except UnicodeError:  # the client chooses the charset, and what it raises holds the name
        raise Problem("invalid-request", "A name or field is not of the body's charset.") from None
    try:
        yield await asyncio.to_thread(_sorted_out, form, parts)
    finally:
        await form.close()


def _sorted_out(form: FormData, parts: tuple[str, ...]) -> dict[str, list[Upload]]:
    uploads: dict[str, list[Upload]] = {part: [] for part in parts}
    for name, value in form.multi_items():
        if name not in uploads:
            expected = " and ".join(parts)
            raise Problem("invalid-request", f"The parts of the body are called {expected}.")
        if not isinstance(value, UploadFile):
            raise Problem("invalid-request", f"The part {name} has to be a file, with a filename.")
        uploads[name].append(
            Upload(_on_disk(value), printable(value.filename or "")[:_LONGEST_NAME])
        )
    for part, files in uploads.items():
        if not files:
            raise Problem("invalid-request", f"The part {part} is missing; send it as a file.")
    return uploads


def _on_disk(upload: UploadFile) -> str:
    # The temporary file has no name, so that nothing is left of it even if the server is killed;
    # asked for its descriptor, it moves from memory to the disk.
    descriptor = upload.file.fileno()
    upload.file.flush()
    return f"/proc/{os.getpid()}/fd/{descriptor}"
