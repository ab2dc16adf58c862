"""The time that decides is the database's, at the instant of the call."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.clock import DatabaseClock


def test_the_clock_goes_on_inside_a_transaction(session_as: Callable[[str], Session]) -> None:
    session = session_as("catalog")
    first, start = DatabaseClock().now(session), session.execute(text("select now()")).scalar_one()
    second = DatabaseClock().now(session)

    assert start <= first < second
    assert first.utcoffset() == timedelta(0)


def test_this_machines_clock_does_not_matter(session_as: Callable[[str], Session]) -> None:
    session = session_as("catalog")
    with time_machine.travel(datetime(1999, 1, 1, tzinfo=UTC)):
        assert DatabaseClock().now(session).year >= 2025
