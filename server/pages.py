"""Serve the page for dropping songs, the interactive documentation and the built phone page."""

import json
from mimetypes import guess_type
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

import pocketgenre.demo
from pocketgenre.errors import PocketGenreError

PAGE = Path(__file__).parent / "page"
"""Folder of the page for dropping songs, which is served at ``/`` and ``/page/``."""

DOCS_PATH = "/docs"
PHONE_PATH = "/phone/"
BUILT = Path(pocketgenre.demo.__file__).parent / "web" / "dist"
"""Output folder of ``make phone``; it exists only in a checkout."""

_HEADERS_FILE = "headers.json"
_MEDIA_TYPES = {".tflite": "application/octet-stream", ".webmanifest": "application/manifest+json"}


class PhonePage(StaticFiles):
    """Static files of a built page, with the headers listed in its ``headers.json``.

    Parameters
    ----------
    folder : folder of the built page

    Raises
    ------
    PocketGenreError
        if the folder contains no built page.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._headers: dict[str, str] = json.loads((folder / _HEADERS_FILE).read_text("utf-8"))
            super().__init__(directory=folder, html=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise PocketGenreError(
                f"There is no phone page in {folder}; build it with make phone."
            ) from error

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, compressed if the build compressed it and the browser accepts that.

        Its content stays unchanged, since the page's service worker checks its hash.
        """
        accepted = Headers(scope=scope).get("accept-encoding", "")
        is_compressed = "gzip" in accepted and self.lookup_path(f"{path}.gz")[1] is not None
        response = await super().get_response(f"{path}.gz" if is_compressed else path, scope)
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Type"] = guess_type(path)[0] or "application/octet-stream"
        response.headers["Vary"] = "Accept-Encoding"
        headers = response.headers
        headers.update(self._headers)
        # Files named after their hash never change. The other files refer to them.
        is_hashed = path.startswith("assets/") and response.status_code == 200
        headers["Cache-Control"] = "max-age=31536000, immutable" if is_hashed else "no-cache"
        if media_type := _MEDIA_TYPES.get(Path(path).suffix):
            headers["Content-Type"] = media_type
        return response
