"""Lists in pages: signed keyset cursors and the link to the next page."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import Field

from shared.errors import Problem
from shared.wire import Query

Item = TypeVar("Item")
SIGNATURE = 16


class InvalidCursor(Problem):
    """The cursor is not one that this list gave out; start again without it."""

    status = 400


class Page(Query):
    """The query of a list."""

    limit: int = Field(default=100, ge=1, le=500, description="At most this many rows.")
    cursor: str | None = Field(
        default=None, description="`next_cursor` of the page before.", max_length=1000, min_length=1
    )


class Cursors:
    """Makes and reads cursors; a cursor is bound to its list, so that one list's does not fit another."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def dump(self, scope: str, position: Any) -> str:
        """An opaque cursor for a JSON value."""
        body = json.dumps(position, separators=(",", ":"), default=str).encode()
        return base64.urlsafe_b64encode(self._sign(scope, body) + body).decode().rstrip("=")

    def load(self, scope: str, cursor: str) -> Any:
        """The position a cursor stands for; raises InvalidCursor when it is forged or another list's."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise InvalidCursor from None
        signature, body = raw[:SIGNATURE], raw[SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(scope, body)):
            raise InvalidCursor
        return json.loads(body)

    def _sign(self, scope: str, body: bytes) -> bytes:
        return hmac.digest(self._secret, scope.encode() + b"\0" + body, hashlib.sha256)[:SIGNATURE]


def cursors_of(request: Request) -> Cursors:
    """The cursors of the service that serves this request."""
    cursors: Cursors = request.app.state.cursors
    return cursors


def cut(rows: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """A page out of `limit + 1` rows, and whether more follow."""
    return rows[:limit], len(rows) > limit


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Name the next page in the `Link` header."""
    if cursor:
        url = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
