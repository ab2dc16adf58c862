"""A small price chart for the terminal."""

from collections.abc import Sequence
from decimal import Decimal

BARS = " ▁▂▃▄▅▆▇█"
MARGIN = " " * 14


def chart(prices: Sequence[Decimal], *, height: int = 6) -> list[str]:
    """Lines of a bar chart, one column a price, highest line first; the axis names the extremes."""
    low, high = min(prices), max(prices)
    span = high - low or Decimal(1)
    levels = [int((price - low) / span * (height * 8 - 1)) + 1 for price in prices]
    lines = ["".join(BARS[max(0, min(8, level - row * 8))] for level in levels) for row in reversed(range(height))]
    labels = {0: f"{high:>12,.2f} ┤", height - 1: f"{low:>12,.2f} ┤"}
    return [labels.get(number, MARGIN[:-1] + "│") + line for number, line in enumerate(lines)]


def axis(first: str, last: str, *, width: int) -> str:
    """The line below a chart of that many prices: its first and last date, each below its end."""
    return f"{MARGIN}{first}{last:>{max(width - len(first), len(last) + 1)}}"
