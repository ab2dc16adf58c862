"""Why a key, or a change of keys, is refused."""

from collections.abc import Mapping
from typing import ClassVar

from shared.errors import Problem


class MissingKey(Problem):
    """This call needs an API key, in the header X-API-Key."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "ApiKey"}


class InvalidKey(Problem):
    """The API key is not valid; ask an admin for a new one if it ever was."""

    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "ApiKey"}


class ApiKeyNotFound(Problem):
    """There is no API key with this id; GET /v1/api-keys lists them."""

    status = 404


class AccountNotFound(Problem):
    """There is no account with this id; GET /v1/accounts lists them."""

    status = 422
    field = ("body", "/account")


class NameTaken(Problem):
    """An account with this name exists already; send its `account` to make another key of it."""

    status = 409


class LastAdmin(Problem):
    """No other admin key would last; make another one, or rotate this one, before revoking it."""

    status = 409


class KeyNotUsable(Problem):
    """This key is revoked or expired, so nothing can take its place; make a new one with POST /v1/api-keys."""

    status = 409


class AlreadyRotated(Problem):
    """This key was rotated already; `successor` is the id of the key that took its place."""

    status = 409
