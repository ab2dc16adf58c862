"""Whether this process was told to stop: what would never end by itself ends then."""

from threading import Event as Flag

_told = Flag()


def begin_drain() -> None:
    """This process has been told to stop."""
    _told.set()


def is_draining() -> bool:
    """Whether it has been told to."""
    return _told.is_set()
