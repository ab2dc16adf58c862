"""Counting in memory: exact under threads, nothing lost when it cannot be written down."""

from datetime import UTC, date, datetime, timedelta
from threading import Thread
from uuid import UUID

from services.pricing.usage.uses import Cell, Use, Uses
from tests.services.pricing.conftest import ACCOUNT

MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
OTHER = UUID(int=7)


def test_reads_are_added_up_by_account_cell_and_day() -> None:
    moments = iter([MIDNIGHT - timedelta(seconds=1), MIDNIGHT, MIDNIGHT + timedelta(seconds=1), MIDNIGHT])
    uses = Uses(now=lambda: next(moments))
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 5)
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 7)
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 1)
    uses.add(OTHER, "Bob", "BTC", "1h", 3)
    assert uses.take() == {
        Cell(ACCOUNT, "BTC", "1h", date(2026, 1, 31)): Use("Ada", 5, MIDNIGHT - timedelta(seconds=1)),
        Cell(ACCOUNT, "BTC", "1h", date(2026, 2, 1)): Use("Ada", 8, MIDNIGHT + timedelta(seconds=1)),
        Cell(OTHER, "BTC", "1h", date(2026, 2, 1)): Use("Bob", 3, MIDNIGHT),
    }
    assert uses.take() == {}


def test_what_is_given_back_is_counted_again() -> None:
    uses = Uses(now=lambda: MIDNIGHT)
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 5)
    taken = uses.take()
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 7)
    uses.give_back(taken.items())
    assert [use.rows for use in uses.take().values()] == [12]


def test_no_read_is_lost_or_counted_twice_between_threads() -> None:
    uses, taken = Uses(now=lambda: MIDNIGHT), 0

    def read() -> None:
        for _ in range(2000):
            uses.add(ACCOUNT, "Ada", "BTC", "1h", 1)

    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += sum(use.rows for use in uses.take().values())
    assert taken + sum(use.rows for use in uses.take().values()) == 8000
