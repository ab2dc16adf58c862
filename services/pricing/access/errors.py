"""Why a read is refused before any price is looked up."""

from typing import Any

from shared.errors import Problem


class DatasetNotFound(Problem):
    """There is no dataset with this symbol; GET /v1/datasets lists them."""

    status = 404


class FrequencyNotOffered(Problem):
    """The dataset is not offered at this frequency; `frequencies` lists those that are."""

    status = 422
    field = ("query", "/frequency")


class Retired(Problem):
    """The frequency was retired; `retired_at` says when."""

    status = 410


class Denied(Problem):
    """The account may not read this."""

    def __init__(self, *, status: int, code: str, detail: str, members: dict[str, Any]) -> None:
        super().__init__(detail)
        # entitlements decides what its refusal is called, so these are the instance's and not the class's
        vars(self).update(status=status, code=code, members=members)


class CatalogUnavailable(Exception):
    """The catalog did not answer, so it is not known what is on offer."""

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())
