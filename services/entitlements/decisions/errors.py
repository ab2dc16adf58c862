"""Why a decision is refused."""

from shared.errors import Problem


class NotInRequest(Problem):
    """The request does not ask for a frequency that the decision names; `requested` lists what it asks for."""

    status = 422
    field = ("body", "/decisions")
