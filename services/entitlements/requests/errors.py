"""Why a request is refused."""

from collections.abc import Mapping
from typing import ClassVar

from shared.errors import Problem


class UnknownDataset(Problem):
    """There is no dataset with the symbol that the body names; GET /v1/datasets lists them."""

    status = 422
    field = ("body", "/dataset")
    code = "dataset-not-found"


class FrequencyNotOffered(Problem):
    """The dataset is not offered at a frequency that the body names; `offered` lists those it is offered at."""

    status = 422
    field = ("body", "/frequencies")


class NothingToRequest(Problem):
    """Every frequency asked for is already granted or pending; `skipped` says which and by what."""

    status = 409


class NotAskedFor(Problem):
    """The request does not ask for a frequency that the body names; `requested` lists what it asks for."""

    status = 422
    field = ("body", "/frequencies")
    code = "not-in-request"


class AlreadyDecided(Problem):
    """What this is about is not open any more; `items` says what became of it and when."""

    status = 409


class Cooldown(Problem):
    """A frequency asked for was refused a short while ago; ask again from `reapply_after` on."""

    status = 409


class TooManyOpen(Problem):
    """Too many of your items are still undecided; wait for decisions before you ask for more."""

    status = 429
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "3600"}


class RequestNotFound(Problem):
    """There is no such request of yours; GET /v1/access-requests lists them."""

    status = 404
