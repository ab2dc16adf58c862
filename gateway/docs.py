"""Swagger UI from our own files, under a policy that lets no inline script run."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent / "swagger"
FILES = ("init.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages() -> dict[str, ASGIApp]:
    """The page and its files by their exact paths."""
    files = StaticFiles(directory=FOLDER)
    assets = {f"/docs/{name}": _file(files, name) for name in FILES}
    return {"/": RedirectResponse("/docs"), "/docs": _file(files, "index.html"), **assets}


def _file(files: StaticFiles, name: str) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        response = await files.get_response(name, Request(scope).scope)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"
        await response(scope, receive, send)

    return serve
