"""Why prices are not taken, or not handed out."""

from shared.errors import Problem


class SeriesHasOtherSource(Exception):
    """The series holds prices of another source, and a series is never a mixture."""

    def __init__(self, dataset: str, frequency: str, *, stored: str, offered: str) -> None:
        super().__init__(f"{dataset} {frequency} holds {stored} prices; {offered} ones cannot be mixed in")


class VersionGone(Problem):
    """The series was replaced since: what it was before is gone; ask without the cursor, and for no instant before."""

    status = 410


class NotAcceptable(Problem):
    """No format that `Accept` takes is one that there is; `formats` lists those."""

    status = 406


class RangeTooLarge(Problem):
    """More bars could start in this range than one read gives; read it in the `chunks`, one after the other."""

    status = 422
    field = ("query", "/end")


class DigitsDoNotFit(Problem):
    """A price here has more digits than 20 before or 18 after the point, which this format cannot hold; take csv."""

    status = 409


class ImportRefused(Exception):
    """The file cannot be imported; nothing of it was stored."""
