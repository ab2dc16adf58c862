"""Market capitalisations as they were: in a version, at an instant; and pages that stay in theirs while days change."""

import random
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.pricing.market_caps.policy import RANKS
from services.pricing.market_caps.schemas import DayCap, Days
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.errors import VersionGone
from services.pricing.prices.schemas import Edition
from shared.clock import Clock, DatabaseClock
from shared.database import Database
from shared.errors import InvalidInput
from shared.wire import instant_text
from tests.services.pricing.conftest import HOUR, T0, FixedClock, Service

CAPS = "/v1/datasets/BTC/market-caps"
MIDDLE = date(2025, 6, 10)
ONE_DAY = timedelta(days=1)
ALL = Days("BTC", date(2000, 1, 1), date(2100, 1, 1))
REAL = ("derived", "vendor-history", "observed")


def read(caps: MarketCapService, *, version: int | None = None, as_of: datetime | None = None) -> dict[int, str]:
    """What is told of each day of June."""
    edition = None if version is None else Edition(version, None)
    told = caps.read(Days("BTC", date(2025, 6, 1), date(2025, 7, 1), as_of, edition), limit=None)
    return {row.date.day: f"{row.market_cap_usd} {row.provenance}" for row in told.rows}


def source_of(provenance: str) -> str:
    """Whose values they are in these tests."""
    return "sample" if provenance == "sample" else "coincap"


def write(session: Session, at: datetime, days: list[int], cap: int, provenance: str) -> None:
    told = {date(2025, 6, day): DayCap(Decimal(cap), at) for day in days}
    caps = MarketCapService(session, FixedClock(at))
    caps.record("BTC", told, source=source_of(provenance), provenance=provenance)


@pytest.mark.parametrize("seed", range(3))
def test_every_version_and_every_instant_can_be_read_again(session: Session, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    caps, model = MarketCapService(session, FixedClock(T0)), dict[int, str]()
    versions, instants = dict[int, dict[int, str]](), dict[datetime, dict[int, str]]()
    for number in range(40):
        at, provenance = T0 + number * HOUR, chance.choice(REAL)
        days = chance.sample(range(1, 11), chance.randint(1, 3))
        write(session, at, days, number + 1, provenance)
        for day in days:
            if day not in model or RANKS[provenance] > RANKS[model[day].partition(" ")[2]]:
                model[day] = f"{number + 1} {provenance}"
        versions[caps.edition(ALL).version] = instants[at] = dict(sorted(model.items()))
    assert len(versions) > 10
    for version, rows in versions.items():
        assert read(caps, version=version) == rows
    for at, rows in instants.items():
        assert read(caps, as_of=at) == rows
        assert read(caps, as_of=at - timedelta(microseconds=1)) == instants.get(at - HOUR, {})


def test_a_version_at_an_instant_knows_nothing_of_either_ones_future(session: Session) -> None:
    caps = MarketCapService(session, FixedClock(T0))
    for number, provenance in enumerate(REAL):
        write(session, T0 + number * HOUR, [10], number + 1, provenance)
    found = [
        [list(read(caps, version=version, as_of=T0 + hour * HOUR).values()) for hour in (-1, 0, 1, 2)]
        for version in (1, 2, 3)
    ]
    one, two, three = ([f"{number} {provenance}"] for number, provenance in enumerate(REAL, 1))
    assert found == [[[], one, one, one], [[], one, two, two], [[], one, two, three]]


def test_a_version_before_the_sample_was_replaced_is_gone(session: Session) -> None:
    caps = MarketCapService(session, FixedClock(T0))
    write(session, T0, [9, 10], 1, "sample")
    write(session, T0 + HOUR, [10], 2, "observed")
    assert read(caps, version=2) == {10: "2 observed"}
    for gone in (0, 1, 3):
        with pytest.raises(VersionGone):
            read(caps, version=gone)


def test_an_instant_before_the_sample_was_replaced_is_gone(session: Session) -> None:
    write(session, T0, [9, 10], 1, "sample")
    write(session, T0 + HOUR, [10], 2, "observed")
    caps = MarketCapService(session, FixedClock(T0 + 2 * HOUR))
    assert read(caps, as_of=T0 + HOUR) == {10: "2 observed"}
    for gone in (T0, T0 + HOUR - timedelta(microseconds=1)):
        with pytest.raises(VersionGone):
            read(caps, as_of=gone)


def test_an_instant_to_come_is_refused(session: Session) -> None:
    with pytest.raises(InvalidInput):
        read(MarketCapService(session, FixedClock(T0)), as_of=datetime.fromisoformat("2999-01-01T00:00:00Z"))


def record(database: Database, days: list[date], cap: int, provenance: str, *, clock: Clock | None = None) -> None:
    with database.transaction() as session:
        told = {day: DayCap(Decimal(cap), T0) for day in days}
        caps = MarketCapService(session, clock or DatabaseClock())
        caps.record("BTC", told, source=source_of(provenance), provenance=provenance)


def test_a_writer_that_waited_for_another_revises_what_that_one_wrote(database: Database) -> None:
    with database.transaction() as session:
        caps = MarketCapService(session, DatabaseClock())
        caps.record("BTC", {MIDDLE: DayCap(Decimal(1), T0)}, source="coincap", provenance="derived")
        second = Thread(target=record, args=(database, [MIDDLE], 2, "observed"))
        second.start()
        time.sleep(0.2)
    second.join()
    with database.transaction() as session:
        caps = MarketCapService(session, DatabaseClock())
        assert [read(caps, version=version) for version in (1, 2)] == [{10: "1 derived"}, {10: "2 observed"}]


def by_cursor(service: Service, limit: int) -> Iterator[dict[str, Any]]:
    """A paged read as it should be done."""
    answer = service.get(CAPS, limit=limit)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            return
        answer = service.get(answer.links["next"]["url"])


def by_start(service: Service, limit: int) -> Iterator[dict[str, Any]]:
    """The control: every page asks for what follows the last day, as it is now."""
    start = date(2000, 1, 1)
    while True:
        page = service.get(CAPS, limit=limit, start=str(start)).json()
        yield page
        if page["next_cursor"] is None:
            return
        start = date.fromisoformat(page["data"][-1]["date"]) + ONE_DAY


@pytest.mark.parametrize(("pages", "mixes"), [(by_cursor, False), (by_start, True)])
def test_pages_are_of_one_version_while_days_are_added_and_revised(service: Service, pages: Any, mixes: bool) -> None:
    """Every other write adds a day at either end, the next gives both their better value; so a mixture shows."""
    stop, mixed = Event(), 0

    def write(number: int) -> None:
        days = [MIDDLE - number // 2 * ONE_DAY, MIDDLE + number // 2 * ONE_DAY]
        record(service.database, days, number + 1, "observed" if number % 2 else "derived")

    def keep_writing() -> None:
        for number in count(20):
            if stop.wait(0.005):
                return
            write(number)

    for number in range(20):
        write(number)
    writer = Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(5):
            rows = [row for page in pages(service, 6) for row in page["data"]]
            days = [date.fromisoformat(row["date"]) for row in rows]
            assert days == sorted(set(days))
            values = [(row["market_cap_usd"], row["provenance"]) for row in rows]
            mixed += values != values[::-1] or MIDDLE - days[0] != days[-1] - MIDDLE
    finally:
        stop.set()
        writer.join()
    assert (mixed > 0) is mixes


def test_as_of_and_the_version_over_http(service: Service) -> None:
    before = T0 + 10 * ONE_DAY
    record(service.database, [MIDDLE, MIDDLE + ONE_DAY], 1, "derived", clock=FixedClock(before))
    first = service.get(CAPS, limit=1)
    assert (first.headers["tickgate-series-version"], first.headers["tickgate-source"]) == ("1", "coincap")
    record(service.database, [MIDDLE + ONE_DAY, MIDDLE + 2 * ONE_DAY], 2, "observed")
    then = service.get(CAPS, as_of=str(instant_text(before)), limit=1)
    rest = service.get(then.links["next"]["url"])
    assert [row["provenance"] for page in (then, rest) for row in page.json()["data"]] == ["derived", "derived"]
    following = service.get(first.links["next"]["url"])
    assert [(row["date"], row["market_cap_usd"]) for row in following.json()["data"]] == [("2025-06-11", "1")]
    assert "next" not in following.links
    assert service.get(CAPS, as_of="2025-06-10").json()["data"] == []
    refused = service.get(CAPS, as_of="2999-01-01").json()
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("invalid-input", "/as_of")
    other = service.get(CAPS, as_of="2025-06-11", cursor=then.json()["next_cursor"])
    assert other.json()["code"] == "invalid-cursor"


def test_a_later_page_keeps_its_tag_and_is_gone_once_the_sample_was_replaced(service: Service) -> None:
    record(service.database, [MIDDLE + n * ONE_DAY for n in range(3)], 1, "sample")
    following = service.get(CAPS, limit=1).links["next"]["url"]
    page = service.get(following)
    record(service.database, [MIDDLE + 9 * ONE_DAY], 1, "sample")
    service.statements.clear()
    assert service.get(following, known=page.headers["etag"]).status_code == 304
    assert not any("market_caps" in statement for statement in service.statements)
    assert service.get(following).content == page.content
    record(service.database, [MIDDLE], 2, "observed")
    for known in (None, page.headers["etag"]):
        answer = service.get(following, known=known)
        assert (answer.status_code, answer.json()["code"]) == (410, "version-gone")


def test_an_instant_before_the_sample_was_replaced_is_gone_over_http_too(service: Service) -> None:
    record(service.database, [MIDDLE], 1, "sample", clock=FixedClock(T0))
    then = service.get(CAPS, as_of="2025-06-12")
    assert (len(then.json()["data"]), then.json()["source"]) == (1, "sample")
    record(service.database, [MIDDLE], 2, "observed")
    for known in (None, then.headers["etag"]):
        answer = service.get(CAPS, as_of="2025-06-12", known=known)
        assert (answer.status_code, answer.json()["code"]) == (410, "version-gone")


def test_an_instant_is_refused_under_a_known_tag_too_until_all_that_was_known_then_is_stored(service: Service) -> None:
    record(service.database, [MIDDLE], 1, "observed")
    tag = service.get(CAPS).headers["etag"]
    with service.database.transaction() as session:
        now = DatabaseClock().now(session)
    for at in (now, now - timedelta(seconds=50), now + 365 * ONE_DAY):
        for known in (None, tag):
            refused = service.get(CAPS, as_of=str(instant_text(at)), known=known)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/as_of")
            assert "an instant a minute ago" in refused.json()["errors"][0]["message"]
    past = str(instant_text(now - timedelta(seconds=70)))
    assert service.get(CAPS, as_of=past).json()["data"] == []
    assert service.get(CAPS, as_of=past, known=tag).status_code == 304
