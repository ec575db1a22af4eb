"""The phone page, served under ``/phone/`` where it was built."""

import json
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

import pocketgenre.demo
from pocketgenre.errors import PocketGenreError

PATH = "/phone/"
BUILT = Path(pocketgenre.demo.__file__).parent / "web" / "dist"
"""Where ``make phone`` leaves it; only a checkout has it."""

_HEADERS = "headers.json"
_TYPES = {".tflite": "application/octet-stream", ".webmanifest": "application/manifest+json"}


class PhonePage(StaticFiles):
    """The files of a built page, with the headers that it asks for.

    Parameters
    ----------
    folder : that it was built into

    Raises
    ------
    PocketGenreError
        there is no built page.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._headers: dict[str, str] = json.loads((folder / _HEADERS).read_text("utf-8"))
            super().__init__(directory=folder, html=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise PocketGenreError(
                f"{folder} holds no phone page; make phone builds it."
            ) from error

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file as it is, since the page's service worker knows its digest."""
        response = await super().get_response(path, scope)
        headers = response.headers
        headers.update(self._headers)
        # What is named after its content never changes; the rest says which of those to take.
        hashed = path.startswith("assets/") and response.status_code == 200
        headers["Cache-Control"] = "max-age=31536000, immutable" if hashed else "no-cache"
        if kind := _TYPES.get(Path(path).suffix):
            headers["Content-Type"] = kind
        return response
