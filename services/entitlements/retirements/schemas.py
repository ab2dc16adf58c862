"""What the catalog tells of retirements."""

from shared.wire import Instant, Output


class Retiring(Output):
    """A dataset's frequencies that are retired, or will be, and when."""

    symbol: str
    retired: dict[str, Instant]
