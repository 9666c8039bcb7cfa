"""The page of the emergency centre: the files that its build made, served from the same address as the API."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

SHIPPED: Final = Path(__file__).parents[1] / "console" / "dist"
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _Page(StaticFiles):
    """Files whose names carry a hash of their content may be kept for ever; the rest is asked for each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = path.startswith("assets/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers.update(_HEADERS)
        return response


def add_page(app: FastAPI, folder: Path | None) -> None:
    """Serve the page at ``/``; where it was not built, a page that says so. Call it after every other route."""
    built = folder or SHIPPED
    if (built / "index.html").is_file():
        app.mount("/", _Page(directory=built, html=True), name="page")
        return

    @app.get("/", include_in_schema=False)
    def say_missing(_: Request) -> HTMLResponse:
        return HTMLResponse(_MISSING.format(folder=built), 503, _HEADERS)


_MISSING: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Vedette</title>
<body style="font: 18px/1.5 system-ui; max-width: 40em; margin: 10vh auto">
<h1>The page has not been built</h1>
<p>There is no <code>index.html</code> in <code>{folder}</code>. Build the page with <code>make page</code> in the
source folder and start Vedette again. The API works: see <a href="/api/v1/status">/api/v1/status</a>.</p>
"""
