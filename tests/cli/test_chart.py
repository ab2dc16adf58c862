"""The price chart: one column a price, the highest line first, the extremes named."""

from decimal import Decimal

import pytest

from cli.demo.chart import axis, chart

CASES = [
    (["1", "2"], 3, ["        2.00 ┤ █", "             │ █", "        1.00 ┤▁█"]),
    (["1", "2"], 2, ["        2.00 ┤ █", "        1.00 ┤▁█"]),
    (["5", "5", "5"], 2, ["        5.00 ┤   ", "        5.00 ┤▁▁▁"]),
    (["0", "4", "8"], 3, ["        8.00 ┤  █", "             │ ▄█", "        0.00 ┤▁██"]),
    (["1234567.891"], 2, ["1,234,567.89 ┤ ", "1,234,567.89 ┤▁"]),
]


@pytest.mark.parametrize(("prices", "height", "lines"), CASES)
def test_a_chart_is_as_drawn(prices: list[str], height: int, lines: list[str]) -> None:
    assert chart([Decimal(price) for price in prices], height=height) == lines


def test_every_line_is_as_wide_as_the_others() -> None:
    prices = [Decimal(number) ** 2 / 7 for number in range(90)]
    lines = chart(prices)
    assert (len(lines), {len(line) for line in lines}) == (6, {14 + 90})
    assert lines[-1].endswith("█")
    assert " " not in lines[-1][14:]


@pytest.mark.parametrize(("width", "gap"), [(90, 70), (21, 1), (1, 1)])
def test_the_dates_stand_below_both_ends(width: int, gap: int) -> None:
    line = axis("2026-01-01", "2026-03-31", width=width)
    assert line == " " * 14 + "2026-01-01" + " " * gap + "2026-03-31"
