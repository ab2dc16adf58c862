"""Why an answer is refused."""

from shared.errors import Problem


class NothingToAnswer(Problem):
    """Nothing in this request waits for an answer; `items` says how each of its frequencies stands."""

    status = 409
