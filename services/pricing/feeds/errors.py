"""Why a job cannot be run."""

from shared.errors import Problem


class JobNotFound(Problem):
    """There is no job with this name; `jobs` lists them."""

    status = 404
