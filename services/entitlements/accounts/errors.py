"""Why an account is refused."""

from shared.errors import Problem


class AccountNotFound(Problem):
    """There is no account with this id; GET /v1/accounts lists them."""

    status = 404


class UnknownAccount(Problem):
    """There is no account with the id that the body names; GET /v1/accounts lists them."""

    status = 422
    field = ("body", "/account")
    code = "account-not-found"


class AccountBlocked(Problem):
    """The account is blocked or closed, so nothing can be given to it; `standing` says which."""

    status = 409


class AccountClosed(Problem):
    """The account is closed, and that is final; make a new one with POST /v1/api-keys."""

    status = 409
