"""Why the door refuses a caller, or refuses to open at all."""

from collections.abc import Iterable
from typing import ClassVar

from gateway.routes import Route
from shared.errors import MethodNotAllowed, Problem


class MethodRefused(MethodNotAllowed):
    """This address does not take this method; `Allow` names those it takes."""

    code: ClassVar[str] = MethodNotAllowed.code

    def __init__(self, methods: Iterable[str]) -> None:
        super().__init__()
        taken = {*methods}
        self.allow = ", ".join(sorted(taken | {"HEAD"} if "GET" in taken else taken))


class RoleNotAllowed(Problem):
    """The key's role may not do this; `roles` names those that may."""

    status = 403


class BodyTooLarge(Problem):
    """The body is larger than 64 KiB; nothing of it was looked at."""

    status = 413


class UnsupportedMediaType(Problem):
    """The body has to be `application/json`, in UTF-8."""

    status = 415


class UnknownProtocol(Problem):
    """HTTP 1.0 or 1.1 is spoken here."""

    status = 400


class TooManyRequests(Problem):
    """More requests than the limit allows; `Retry-After` says in how many seconds there is room again."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.retry_after = str(seconds)


class StartRefused(Exception):
    """The gateway does not open; the message says why, in one line."""


class UndeclaredOperation(StartRefused):
    """A service offers a public operation that has no row in gateway/routes.py."""

    def __init__(self, service: str, method: str, path: str) -> None:
        super().__init__(
            f"{service} offers {method} {path}, but gateway/routes.py has no row that says who may call it"
        )


class MissingOperation(StartRefused):
    """A row in gateway/routes.py leads to an operation that its service does not offer."""

    def __init__(self, route: Route) -> None:
        super().__init__(f"gateway/routes.py has {route.method} {route.path}, but {route.service} offers no such thing")


class ServiceSilent(StartRefused):
    """A service does not tell what it offers."""

    def __init__(self, service: str, url: str, status: int) -> None:
        super().__init__(f"{service} at {url} does not tell what it offers: its /openapi.json answers {status}")
