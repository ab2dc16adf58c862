"""Why a job cannot be run or a file cannot be imported."""

from shared.errors import Problem


class JobNotFound(Problem):
    """There is no job with this name; `jobs` lists them."""

    status = 404


class ImportRefused(Exception):
    """The file cannot be imported; nothing of it was stored."""


class CatalogUnavailable(Exception):
    """The catalog did not answer, so it is not known which datasets are on offer."""
