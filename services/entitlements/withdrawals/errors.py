"""Why a withdrawal is refused."""

from shared.errors import Problem


class NothingToWithdraw(Problem):
    """Nothing in this request is undecided any more; `items` says what became of each frequency and when."""

    status = 409
