"""Why rules are refused."""

from shared.errors import Problem


class RulesVersionNotFound(Problem):
    """The rules never had this version; GET /v1/rules lists their history."""

    status = 404


class RulesChanged(Problem):
    """The rules are at another version than the one to be replaced; `version` says at which. Look at it first."""

    status = 409


class UnreadableRule(Exception):
    """A stored rule that does not make sense to this program."""
