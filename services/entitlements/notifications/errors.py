"""Why the inbox refuses."""

from shared.errors import Problem


class NotificationNotFound(Problem):
    """Your inbox holds no notification with this id."""

    status = 404
