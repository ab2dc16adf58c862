"""Why prices are not taken, or not handed out to the end."""


class SeriesHasOtherSource(Exception):
    """The series holds prices of another source, and a series is never a mixture."""

    def __init__(self, dataset: str, frequency: str, *, stored: str, offered: str) -> None:
        super().__init__(f"{dataset} {frequency} holds {stored} prices; {offered} ones cannot be mixed in")


class SeriesReplaced(Exception):
    """The series was replaced by another source's while it was being sent; the answer is cut off."""


class ImportRefused(Exception):
    """The file cannot be imported; nothing of it was stored."""
