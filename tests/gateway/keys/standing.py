"""A clock that stands until it is turned, for the service and for what a process remembers."""

from datetime import datetime

from sqlalchemy.orm import Session


class StandingClock:
    """Tells the time that it was set to."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self, session: Session) -> datetime:  # noqa: ARG002
        """The instant it was set to."""
        return self.instant

    def seconds(self) -> float:
        """The same, in seconds."""
        return self.instant.timestamp()
