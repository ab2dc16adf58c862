"""A series as it was: in a version, at an instant; and pages that stay in theirs while the series changes."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.pricing.prices import controller
from services.pricing.prices.errors import VersionGone
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.providers import Reading
from services.pricing.prices.schemas import Edition, Window
from services.pricing.prices.service import PriceService
from shared.errors import InvalidInput
from shared.wire import instant_text
from tests.services.pricing.conftest import DAY, HOUR, T0, Bar, FixedClock, Service, bars

PRICES = "/v1/datasets/BTC/prices"
SEEN = T0 + timedelta(days=100)


def read(prices: PriceService, *, version: int | None = None, as_of: datetime | None = None) -> dict[str, str]:
    """The rows of the hourly series, by time."""
    edition = None if version is None else Edition(version, None)
    window = Window("BTC", "1h", EARLIEST, LATEST, as_of, edition)
    lines = prices.read(window, format_="csv", limit=10_000).body.splitlines()
    return {line.partition(",")[0]: line.partition(",")[2] for line in lines}


class Model:
    """What is known of each bar: a list of (seen at, price), as the rules of loading make it."""

    def __init__(self) -> None:
        self.states: dict[datetime, list[tuple[datetime, Decimal]]] = {}

    def load(self, samples: list[Bar], seen_at: datetime) -> None:
        for bar in samples:
            states = self.states.setdefault(bar.timestamp, [])
            if not states:
                states.append((seen_at, bar.price))
                continue
            at, price = states[-1]
            closes = at < bar.timestamp + HOUR <= seen_at
            if at <= seen_at and (price != bar.price or closes):
                states.append((seen_at, bar.price))

    def rows(self, as_of: datetime | None = None) -> dict[str, str]:
        found = {}
        for timestamp, states in sorted(self.states.items()):
            known = [state for state in states if as_of is None or state[0] <= as_of]
            if known:
                final = "true" if known[-1][0] >= timestamp + HOUR else "false"
                found[f"{timestamp:%Y-%m-%dT%H:%M:%SZ}"] = f"{known[-1][1]},{final}"
        return found


@pytest.mark.parametrize("seed", range(3))
def test_every_version_and_every_instant_can_be_read_again(session: Session, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    prices, model, written = PriceService(session, FixedClock(SEEN)), Model(), {}
    instants = sorted(chance.sample(range(12 * 60), 60), key=lambda minute: minute + chance.randint(0, 60))
    for minute in instants:  # some news is older than what is stored
        hours = sorted(chance.sample(range(12), chance.randint(1, 6)))
        samples = [Bar(T0 + hour * HOUR, Decimal(chance.randint(1, 3))) for hour in hours]
        prices.load("BTC", "1h", "coincap", samples, seen_at=T0 + minute * HOUR / 60)
        model.load(samples, T0 + minute * HOUR / 60)
        written[prices.edition(Window("BTC", "1h", EARLIEST, LATEST)).version] = model.rows()
    assert len(written) > 30
    assert len({str(rows) for rows in written.values()}) > 30
    for version, rows in written.items():
        assert read(prices, version=version) == rows
    for minute in (0, *instants, 12 * 60):
        at = T0 + minute * HOUR / 60
        assert read(prices, as_of=at) == model.rows(at)
        assert read(prices, as_of=at - timedelta(microseconds=1)) == model.rows(at - timedelta(microseconds=1))


def test_a_version_at_an_instant_knows_nothing_of_either_ones_future(session: Session) -> None:
    prices = PriceService(session, FixedClock(SEEN))
    for number, price in enumerate(("1", "2", "3")):
        prices.load("BTC", "1h", "coincap", bars(1, price=price), seen_at=T0 + DAY + number * HOUR)
    found = [
        [list(read(prices, version=version, as_of=T0 + DAY + hour * HOUR).values()) for hour in (-1, 0, 1, 2)]
        for version in (1, 2, 3)
    ]
    one, two, three = ["1,true"], ["2,true"], ["3,true"]
    assert found == [[[], one, one, one], [[], one, two, two], [[], one, two, three]]


def test_months_as_they_were(session: Session) -> None:
    prices = PriceService(session, FixedClock(SEEN))
    prices.load("BTC", "1d", "coincap", bars(2, step=DAY), seen_at=T0 + 5 * DAY)
    prices.load("BTC", "1d", "coincap", bars(3, step=DAY, price="200.50"), seen_at=T0 + 6 * DAY)
    for window, expected in (
        (Window("BTC", "1mo", EARLIEST, LATEST), ("202.50", "3")),
        (Window("BTC", "1mo", EARLIEST, LATEST, edition=Edition(1, None)), ("101.50", "2")),
        (Window("BTC", "1mo", EARLIEST, LATEST, as_of=T0 + 5 * DAY), ("101.50", "2")),
    ):
        _, close, *_, samples = prices.read(window, format_="csv", limit=10).body.strip().split(",")
        assert (close, samples) == expected


def test_a_version_before_the_series_was_replaced_is_gone(session: Session) -> None:
    prices = PriceService(session, FixedClock(SEEN))
    prices.load("BTC", "1h", "sample", bars(3))
    prices.load("BTC", "1h", "coincap", bars(3))
    assert len(read(prices, version=2)) == 3
    for gone in (0, 1, 3):  # 3 is yet to come: it was made before a restore
        with pytest.raises(VersionGone):
            read(prices, version=gone)
    prices.load("BTC", "1h", "coincap", bars(4))
    assert (len(read(prices, version=2)), len(read(prices, version=3))) == (3, 4)


def test_an_instant_before_the_series_was_replaced_is_gone(session: Session) -> None:
    clock = FixedClock(SEEN)
    prices = PriceService(session, clock)
    prices.load("BTC", "1h", "sample", bars(3))
    clock.at = SEEN + DAY
    assert len(read(prices, as_of=SEEN)) == 3
    prices.load("BTC", "1h", "coincap", bars(4), seen_at=SEEN + DAY - HOUR)
    clock.at = SEEN + 2 * DAY
    assert len(read(prices, as_of=SEEN + DAY)) == 4
    for gone in (SEEN, SEEN + DAY - HOUR, SEEN + DAY - timedelta(microseconds=1)):
        with pytest.raises(VersionGone):
            read(prices, as_of=gone)
    prices.load("BTC", "1h", "coincap", bars(5))
    assert len(read(prices, as_of=SEEN + DAY)) == 4


def test_a_series_that_only_begins_replaces_nothing(session: Session) -> None:
    clock = FixedClock(SEEN)
    prices = PriceService(session, clock)
    prices.load("BTC", "1h", "imported", bars(3), replace=True)
    clock.at = SEEN + DAY
    assert read(prices, as_of=SEEN - HOUR) == {}


def test_an_instant_to_come_is_refused(session: Session) -> None:
    prices = PriceService(session, FixedClock(SEEN))
    with pytest.raises(InvalidInput):
        read(prices, as_of=datetime(2999, 1, 1, tzinfo=UTC))


def by_cursor(service: Service, limit: int) -> Iterator[dict[str, Any]]:
    """A paged read as it should be done."""
    answer = service.get(PRICES, frequency="1h", limit=limit)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            return
        answer = service.get(answer.links["next"]["url"])


def by_start(service: Service, limit: int) -> Iterator[dict[str, Any]]:
    """The control: every page asks for what follows the last bar, as it is now."""
    start = "2025-01-01T00:00:00Z"
    while True:
        page = service.get(PRICES, frequency="1h", limit=limit, start=start).json()
        yield page
        if page["next_cursor"] is None:
            return
        start = page["data"][-1]["timestamp"].replace("00:00Z", "00:01Z")


@pytest.mark.parametrize(("pages", "mixes"), [(by_cursor, False), (by_start, True)])
def test_pages_are_of_one_version_while_the_series_changes(service: Service, pages: Any, mixes: bool) -> None:
    """Each load gives every bar its own number as the price and adds one; so a mixture shows."""
    stop, mixed = Event(), 0

    def load(number: int) -> None:
        samples = [Bar(T0 + n * HOUR, Decimal(number)) for n in range(20 + number)]
        service.load("BTC", "1h", samples, seen_at=SEEN + number * HOUR)

    def keep_loading() -> None:
        for number in count(2):
            if stop.wait(0.005):
                return
            load(number)

    load(1)
    writer = Thread(target=keep_loading)
    writer.start()
    try:
        for _ in range(5):
            rows = [row for page in pages(service, 6) for row in page["data"]]
            times = [row["timestamp"] for row in rows]
            assert times == sorted(set(times))
            numbers = {int(row["price_usd"]) for row in rows}
            mixed += numbers != {len(rows) - 20}
    finally:
        stop.set()
        writer.join()
    assert (mixed > 0) is mixes


def test_a_table_is_of_one_version_while_the_series_changes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "CHUNK", 10)
    monkeypatch.setattr(controller, "CHECK_SECONDS", 0)
    service.load("BTC", "1h", bars(50))
    before = service.get(PRICES, frequency="1h", format="csv")
    assert before.headers["tickgate-series-version"] == "1"
    check = Reading.check_again

    async def change_and_check(reading: Reading) -> None:
        service.load("BTC", "1h", bars(60, price=str(random.random())))  # noqa: S311
        await check(reading)

    monkeypatch.setattr(Reading, "check_again", change_and_check)
    during = service.get(PRICES, frequency="1h", format="csv")
    assert (during.text, during.headers["etag"]) == (before.text, before.headers["etag"])
    assert service.get(PRICES, frequency="1h", limit=1).headers["tickgate-series-version"] > "2"


def test_an_answer_about_an_instant_stays_or_is_gone_over_http(service: Service) -> None:
    service.load("BTC", "1h", bars(3), source="sample", seen_at=T0 + DAY)
    told = service.get(PRICES, frequency="1h", as_of="2025-06-12")
    assert (len(told.json()["data"]), told.json()["source"]) == (3, "sample")
    service.load("BTC", "1h", bars(3, price="7"))
    for known in (None, told.headers["etag"]):
        answer = service.get(PRICES, frequency="1h", as_of="2025-06-12", known=known)
        assert (answer.status_code, answer.json()["code"]) == (410, "version-gone")


def test_as_of_over_http(service: Service) -> None:
    service.load("BTC", "1h", bars(2), seen_at=T0 + HOUR / 2)
    service.load("BTC", "1h", bars(3, price="7"), seen_at=T0 + DAY)
    then = service.get(PRICES, frequency="1h", as_of="2025-06-10T12:00:00Z", limit=1)
    rest = service.get(then.links["next"]["url"])
    found = [(row["price_usd"], row["final"]) for page in (then, rest) for row in page.json()["data"]]
    assert found == [("100.50", False), ("101.50", False)]
    assert service.get(PRICES, frequency="1h", as_of="2025-06-10").json()["data"] == []
    refused = service.get(PRICES, frequency="1h", as_of="2999-01-01").json()
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("invalid-input", "/as_of")
    recent = str(instant_text(datetime.now(UTC) - timedelta(minutes=14)))
    for known in (None, then.headers["etag"]):
        for later in ("2999-01-01", recent):
            late = service.get(PRICES, frequency="1h", as_of=later, known=known)
            assert (late.status_code, late.json()["errors"][0]["pointer"]) == (422, "/as_of")
    other = service.get(PRICES, frequency="1h", as_of="2025-06-11", cursor=then.json()["next_cursor"] or "")
    assert other.json()["code"] == "invalid-cursor"
