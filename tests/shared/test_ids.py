"""Identifiers are UUIDs of version 7 that sort by the time they were made."""

from datetime import UTC, datetime, timedelta

import time_machine

from shared.ids import new_id


def test_an_id_is_a_uuid_of_version_seven() -> None:
    made = new_id()

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_an_id_begins_with_its_milliseconds() -> None:
    moment = datetime(2026, 1, 31, 20, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        assert new_id().int >> 80 == int(moment.timestamp() * 1000)


def test_ids_sort_by_the_time_they_were_made() -> None:
    moment = datetime(2026, 1, 31, 20, tzinfo=UTC)
    made = []
    for step in range(100):
        with time_machine.travel(moment + timedelta(milliseconds=step), tick=False):
            made.append(new_id())

    assert made == sorted(made)
    assert [str(i) for i in made] == sorted(str(i) for i in made)


def test_ids_of_one_millisecond_differ() -> None:
    with time_machine.travel(datetime(2026, 1, 31, tzinfo=UTC), tick=False):
        assert len({new_id() for _ in range(10_000)}) == 10_000
