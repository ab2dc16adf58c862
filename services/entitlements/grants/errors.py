"""Why a grant is refused."""

from shared.errors import Problem


class GrantNotFound(Problem):
    """You hold no grant with this id; GET /v1/grants lists yours."""

    status = 404


class GrantClosed(Problem):
    """The grant is over already; `grant_status` and `closed_at` say how and when. There is nothing left to change."""

    status = 409


class CellHeld(Problem):
    """The account holds a grant on this frequency: nothing later stands beside one that runs or follows its planned
    revocation or retirement, no trial follows what is standard."""

    status = 409


class SelfDecision(Problem):
    """Nobody decides for their own account, whatever the role; ask another member of Ops."""

    status = 403
