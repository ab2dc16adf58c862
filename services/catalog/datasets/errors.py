"""Why the catalog refuses."""

from shared.errors import Problem


class DatasetNotFound(Problem):
    """There is no dataset with this symbol; GET /v1/datasets lists them."""

    status = 404


class DatasetExists(Problem):
    """A dataset with this symbol exists already; PATCH it to rename it or to add frequencies."""

    status = 409


class FrequencyNotFound(Problem):
    """The dataset was never offered at this frequency; GET /v1/datasets/{symbol} lists its frequencies."""

    status = 404


class Retired(Problem):
    """The frequency is retired already; `retired_at` says since when."""

    status = 410
