"""CoinCap's client against a stand-in over a real socket: every digit, every fault, no key in any text."""

import csv
import logging
import re
import socket
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from time import monotonic

import httpx
import pytest

from services.pricing.feeds import connection
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.connection import TIMEOUTS
from services.pricing.feeds.entities import Caps, MarketCap, Sample
from services.pricing.feeds.errors import (
    CreditsExhausted,
    SourceError,
    SourceRefused,
    SourceRetired,
    SourceUnavailable,
    UnexpectedAnswer,
    UnknownAsset,
)
from tests.standins.coincap import StandinCoinCap, point

KEY = "k-7f3d9b2e51"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
T0 = datetime(2025, 6, 10, 5, tzinfo=UTC)
NOW = T0 + timedelta(days=2, minutes=30)
PRICE = "109587.7240219355226081"
SUPPLY = "19876725.0000000000000000"
PATH = "/assets/bitcoin/history"
DATA = Path(__file__).parents[4].parent / "shared" / "data"


@dataclass
class Time:
    """A clock that only tests move: sleeping advances it, and every look at the timer costs `tick` seconds."""

    now: datetime = NOW
    tick: float = 0.0
    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def timer(self) -> float:
        self.elapsed += self.tick
        return self.elapsed


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def upstream(time: Time) -> Iterator[StandinCoinCap]:
    with StandinCoinCap(KEY, now=lambda: time.now) as standin:
        standin.give_history("bitcoin", "h1", [point(T0 + n * HOUR, f"{PRICE}{n}0", supply=SUPPLY) for n in range(6)])
        standin.give_history("bitcoin", "d1", [point(datetime(2025, 6, n, tzinfo=UTC), "1.50") for n in range(1, 20)])
        yield standin


@pytest.fixture
def coincap(upstream: StandinCoinCap, time: Time) -> Iterator[CoinCap]:
    with CoinCap(upstream.url, KEY, now=lambda: time.now, sleep=time.sleep, timer=time.timer) as client:
        yield client


def hours(coincap: CoinCap, count: int = 6, slug: str = "bitcoin") -> list[Sample]:
    history = coincap.history(slug, "1h", start=T0, end=T0 + count * HOUR)
    assert history.rejected == []
    return history.samples


def test_a_page_arrives_digit_by_digit(coincap: CoinCap) -> None:
    samples = hours(coincap)
    assert [sample.timestamp for sample in samples] == [T0 + n * HOUR for n in range(6)]
    assert [str(sample.price) for sample in samples] == [f"{PRICE}{n}0" for n in range(6)]
    assert str(samples[0].supply) == SUPPLY


def test_the_end_is_excluded_although_coincap_includes_it(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    assert [sample.timestamp for sample in hours(coincap, 2)] == [T0, T0 + HOUR]
    (_, asked) = upstream.queries[0]
    assert asked == {"interval": "h1", "start": "1749531600000", "end": str(1749531600000 + 7_200_000 - 1)}


def test_a_sample_at_the_end_is_dropped_without_a_word(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    end = 1749531600000 + 3_600_000
    rows = f'{{"priceUsd":"1","time":1749531600000}},{{"priceUsd":"2","time":{end}}}'
    upstream.fail_next("body", text=f'{{"data":[{rows}]}}')
    assert [sample.timestamp for sample in hours(coincap, 1)] == [T0]


def test_bounds_off_the_grid_lose_and_gain_nothing(coincap: CoinCap) -> None:
    microsecond = timedelta(microseconds=1)
    after = coincap.history("bitcoin", "1h", start=T0 + microsecond, end=T0 + HOUR + microsecond)
    assert [sample.timestamp for sample in after.samples] == [T0 + HOUR]


def test_the_hour_still_forming_comes_and_the_day_still_forming_does_not(coincap: CoinCap, time: Time) -> None:
    time.now = T0 + 3 * HOUR + timedelta(minutes=20)
    assert hours(coincap)[-1].timestamp == T0 + 3 * HOUR
    days = coincap.history(
        "bitcoin", "1d", start=datetime(2025, 6, 1, tzinfo=UTC), end=datetime(2025, 6, 20, tzinfo=UTC)
    )
    assert days.samples[-1].timestamp == datetime(2025, 6, 9, tzinfo=UTC)
    assert {(str(sample.price), sample.supply) for sample in days.samples} == {("1.50", None)}


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ('"0.000000001234567890"', "0.000000001234567890"),
        ("109587.72402193552260810", "109587.72402193552260810"),
        ("109587", "109587"),
        ('"1.50e1"', "15.0"),
        ("25E-2", "0.25"),
        ("1e3", "1000"),
        ('"1234567890123456789012.345678901234567890"', "1234567890123456789012.345678901234567890"),
    ],
)
def test_texts_and_numbers_keep_their_digits(coincap: CoinCap, upstream: StandinCoinCap, price: str, text: str) -> None:
    upstream.fail_next("body", text=f'{{"data":[{{"time":1749531600000,"priceUsd":{price}}}],"timestamp":1}}')
    assert [format(sample.price, "f") for sample in hours(coincap)] == [text]


@pytest.mark.parametrize(
    ("supply", "value"), [("null", None), ('"0.000"', None), ("19876725.0", Decimal("19876725.0")), ('"7"', Decimal(7))]
)
def test_supply_may_be_a_text_a_number_or_unknown(
    coincap: CoinCap, upstream: StandinCoinCap, supply: str, value: Decimal | None
) -> None:
    row = f'{{"time":1749531600000,"priceUsd":"1","circulatingSupply":{supply}}}'
    upstream.fail_next("body", text=f'{{"data":[{row}]}}')
    assert [sample.supply for sample in hours(coincap)] == [value]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "priceUsd is not a finite decimal number"),
        ("nan-text", "priceUsd is not a finite decimal number"),
        ("infinity", "priceUsd is not a finite decimal number"),
        ("negative", "priceUsd is not above zero"),
        ("zero", "priceUsd is not above zero"),
        ("null", "priceUsd is missing"),
        ("41-digits", "priceUsd has more than 40 significant digits"),
        ("huge-exponent", "priceUsd has more than 40 significant digits"),
        ("tiny-exponent", "priceUsd has more than 60 decimal places"),
        ("seconds", "time is in seconds, not milliseconds"),
        ("text-time", "time is not an integer"),
        ("off-grid", "time is off the grid"),
        ("outside", "time is outside the window asked for"),
        ("far-future", "time is in the future"),
        ("not-an-object", "not an object"),
        ("bad-supply", "circulatingSupply is not a finite decimal number"),
        ("negative-supply", "circulatingSupply is negative"),
    ],
)
def test_one_bad_item_is_rejected_and_the_page_kept(
    coincap: CoinCap, upstream: StandinCoinCap, kind: str, reason: str
) -> None:
    upstream.fail_next(kind, at=2)
    history = coincap.history("bitcoin", "1h", start=T0, end=T0 + 6 * HOUR)
    assert [rejected.reason for rejected in history.rejected] == [reason]
    assert [sample.timestamp for sample in history.samples] == [T0 + n * HOUR for n in (0, 1, 3, 4, 5)]
    assert upstream.calls[PATH] == 1


@pytest.mark.parametrize("kind", ["unsorted", "duplicate", "extra-keys"])
def test_what_is_only_untidy_is_put_in_order(coincap: CoinCap, upstream: StandinCoinCap, kind: str) -> None:
    tidy = hours(coincap)
    upstream.fail_next(kind)
    assert hours(coincap) == tidy


@pytest.mark.parametrize("kind", ["40-digits", "exponent", "no-supply"])
def test_what_is_only_unusual_is_taken(coincap: CoinCap, upstream: StandinCoinCap, kind: str) -> None:
    upstream.fail_next(kind)
    assert len(hours(coincap)) == 6


def test_an_exponent_is_stored_in_plain_form(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next("exponent")
    assert str(hours(coincap)[0].price) == f"{PRICE}00"


def test_two_values_for_one_time_are_both_rejected(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next("conflict", at=1)
    history = coincap.history("bitcoin", "1h", start=T0, end=T0 + 6 * HOUR)
    assert [sample.timestamp for sample in history.samples] == [T0 + n * HOUR for n in (0, 2, 3, 4, 5)]
    assert [rejected.reason for rejected in history.rejected] == ["two different values for one time"] * 2
    assert '"priceUsd": "1.5"' in history.rejected[1].raw


def test_the_raw_item_is_kept_as_json_and_cut(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next(
        "body", text='{"data":[{"time": 1e999, "a": [1.50, NaN, null, "x\\u0000"]}, "' + "y" * 9000 + '"]}'
    )
    history = coincap.history("bitcoin", "1h", start=T0, end=T0 + HOUR)
    assert history.rejected[0].raw == '{"time": 1e999, "a": [1.50, NaN, null, "x\\u0000"]}'
    assert len(history.rejected[1].raw) == 2_000


@pytest.mark.parametrize("text", ['{"data":null}', '{"data":{"a":1}}', "[]", '"text"', '{"error":"x"}', '{"data":"x"}'])
def test_a_drifted_document_is_rejected_whole(coincap: CoinCap, upstream: StandinCoinCap, text: str) -> None:
    upstream.fail_next("body", text=text)
    history = coincap.history("bitcoin", "1h", start=T0, end=T0 + HOUR)
    assert (history.samples, [rejected.reason for rejected in history.rejected]) == ([], ["data is not an array"])


def test_deep_nesting_is_survived(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next("body", times=5, text="[" * 100_000)
    with pytest.raises(SourceUnavailable):
        hours(coincap)
    upstream.fail_next("body", text='{"data":[' + "[" * 50 + "]" * 50 + "]}")
    history = coincap.history("bitcoin", "1h", start=T0, end=T0 + HOUR)
    assert history.rejected[0].raw == "[" * 8 + '"..."' + "]" * 8


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("rate-limited", "429"),
        ("server-error", "500"),
        ("bad-gateway", "502"),
        ("html", "200 without JSON"),
        ("truncated", "200 without JSON"),
        ("empty-body", "200 without JSON"),
        ("reset", "ReadError|RemoteProtocolError"),
    ],
)
def test_what_may_pass_is_tried_five_times(
    coincap: CoinCap, upstream: StandinCoinCap, time: Time, kind: str, detail: str
) -> None:
    upstream.fail_next(kind, times=4)
    assert len(hours(coincap)) == 6
    assert upstream.calls[PATH] == 5
    upstream.fail_next(kind, times=9)
    with pytest.raises(SourceUnavailable, match=rf"\({detail}\)$"):
        hours(coincap)
    assert upstream.calls[PATH] == 10
    assert [wait <= 0.5 * 2**tried for tried, wait in enumerate(time.slept[:4])] == [True] * 4
    assert len(time.slept) == 8


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unauthorized", SourceRefused),
        ("forbidden", SourceRefused),
        ("credits", CreditsExhausted),
        ("retired", SourceRetired),
        ("redirect", UnexpectedAnswer),
        ("oversize", UnexpectedAnswer),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    coincap: CoinCap, upstream: StandinCoinCap, time: Time, kind: str, error: type[SourceError]
) -> None:
    upstream.fail_next(kind)
    with pytest.raises(SourceError) as raised:
        hours(coincap)
    assert type(raised.value) is error
    assert str(raised.value).startswith(error.__doc__ or "?")
    assert (upstream.calls[PATH], time.slept) == (1, [])


def test_a_retired_address_names_the_setting(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next("retired")
    with pytest.raises(SourceRetired, match="TICKGATE_COINCAP_URL"):
        coincap.market_caps(["bitcoin"])


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("7", 7), ("0", 0), ("86400", 60), ("9" * 400, 60), ("-1", 0), ("soon", 0), (format_datetime(NOW + 9 * HOUR), 60)],
)
def test_retry_after_is_honoured_up_to_a_minute(
    coincap: CoinCap, upstream: StandinCoinCap, time: Time, asked: str, waits: int
) -> None:
    upstream.fail_next("rate-limited", retry_after=asked)
    assert len(hours(coincap)) == 6
    (slept,) = time.slept
    assert waits <= slept <= max(waits, 0.5)


@pytest.mark.parametrize("kind", ["slow", "dribbled-head", "silent"])
def test_a_try_ends_with_its_time_whatever_trickles_in(upstream: StandinCoinCap, time: Time, kind: str) -> None:
    upstream.fail_next(kind, times=5)
    began = monotonic()
    with (
        CoinCap(upstream.url, KEY, now=lambda: time.now, sleep=time.sleep, total=0.2) as coincap,
        pytest.raises(SourceUnavailable, match=r"not complete within 0\.2 s"),
    ):
        hours(coincap)
    assert upstream.calls[PATH] == 5
    assert 1.0 <= monotonic() - began < 5.0


def test_a_server_that_says_nothing_is_left_long_before_that(
    upstream: StandinCoinCap, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (TIMEOUTS.connect, TIMEOUTS.read, TIMEOUTS.write, TIMEOUTS.pool) == (5.0, 10.0, 10.0, 10.0)
    monkeypatch.setattr(connection, "TIMEOUTS", httpx.Timeout(0.1))
    upstream.fail_next("silent", times=5)
    with (
        CoinCap(upstream.url, KEY, now=lambda: time.now, sleep=time.sleep) as coincap,
        pytest.raises(SourceUnavailable, match="ReadTimeout"),
    ):
        hours(coincap)
    assert upstream.calls[PATH] == 5


def test_an_address_that_takes_no_connection_is_left_too(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TIMEOUTS", httpx.Timeout(10.0, connect=0.1))
    with (
        _full() as url,
        CoinCap(url, KEY, sleep=time.sleep) as coincap,
        pytest.raises(SourceUnavailable, match="ConnectTimeout"),
    ):
        hours(coincap)
    assert len(time.slept) == 4


@contextmanager
def _full() -> Iterator[str]:
    """A server whose backlog is full: the next connection is neither taken nor refused."""
    with socket.socket() as server, ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v3"


def test_a_compressed_answer_is_not_asked_for_and_never_unpacked(upstream: StandinCoinCap, coincap: CoinCap) -> None:
    upstream.fail_next("bomb")
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedAnswer, match="compressed, although it was asked not to be"):
            hours(coincap)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert upstream.headers[-1]["Accept-Encoding"] == "identity"
    assert upstream.calls[PATH] == 1


def test_nobody_there_is_unavailable(time: Time) -> None:
    with StandinCoinCap(KEY) as gone:
        url = gone.url
    with CoinCap(url, KEY, sleep=time.sleep) as coincap, pytest.raises(SourceUnavailable, match="ConnectError"):
        hours(coincap)
    assert len(time.slept) == 4


def test_an_unknown_slug_is_named_or_empty(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    with pytest.raises(UnknownAsset, match="asdf"):
        hours(coincap, slug="asdf")
    upstream.unknown = "empty"
    assert hours(coincap, slug="asdf") == []
    assert upstream.calls["/assets/asdf/history"] == 2


@pytest.mark.parametrize("slug", ["../../v2/assets", "a/b", "a?b=c", "ü\n", ".."])
def test_a_hostile_slug_stays_one_path_segment(coincap: CoinCap, upstream: StandinCoinCap, slug: str) -> None:
    with pytest.raises(UnknownAsset):
        hours(coincap, slug=slug)
    assert all("?" not in path for path in upstream.calls)


def test_windows_wider_than_the_span_cost_no_call(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    for frequency in ("1h", "1d"):
        span = coincap.span(frequency)
        coincap.history("bitcoin", frequency, start=NOW - span, end=NOW)
        with pytest.raises(ValueError, match="at most"):
            coincap.history("bitcoin", frequency, start=NOW - span - HOUR, end=NOW)
    with pytest.raises(ValueError, match="time zone"):
        coincap.history("bitcoin", "1h", start=datetime(2025, 1, 1), end=NOW)  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="1mo"):
        coincap.history("bitcoin", "1mo", start=NOW, end=NOW)
    assert coincap.history("bitcoin", "1h", start=NOW, end=NOW).samples == []
    assert upstream.calls.total() == 2
    assert (coincap.depth("1h"), coincap.depth("1d")) == (timedelta(days=3650), timedelta(days=3650))


def test_market_caps_are_one_call_and_leave_out_the_unknown(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1394938121675.859863281250000000", supply="20012087.0")
    upstream.give_market_cap("ethereum", None)
    found = coincap.market_caps(["bitcoin", "ethereum", "asdf"])
    assert found == Caps([MarketCap("bitcoin", Decimal("1394938121675.859863281250000000"), NOW)], [])
    assert str(found.caps[0].market_cap) == "1394938121675.859863281250000000"
    assert upstream.calls == {"/assets": 1}
    assert coincap.market_caps([]).caps == []
    assert upstream.calls == {"/assets": 1}


def test_market_caps_of_more_slugs_than_a_hundred_cost_no_call(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    slugs = [f"coin-{n}" for n in range(101)]
    for slug in slugs:
        upstream.give_market_cap(slug, "5")
    assert [cap.slug for cap in coincap.market_caps(slugs[1:]).caps] == slugs[1:]
    with pytest.raises(ValueError, match="100 assets at most"):
        coincap.market_caps(slugs)
    assert upstream.calls["/assets"] == 1


@pytest.mark.parametrize("text", ['{"data":null}', '{"data":{"id":"bitcoin"}}', "[]", '{"error":"x"}'])
def test_drifted_market_caps_are_rejected_whole(coincap: CoinCap, upstream: StandinCoinCap, text: str) -> None:
    upstream.fail_next("body", times=2, text=text)
    for found in (coincap.market_caps(["bitcoin"]), coincap.market_cap_history("bitcoin", start=T0, end=NOW)):
        assert (found.caps, found.drifted) == ([], True)
        assert [(rejected.reason, rejected.slug) for rejected in found.rejected] == [("data is not an array", None)]


def test_unreadable_market_caps_are_rejected_and_others_left_out(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    items = [
        '{"id":"a","marketCapUsd":"-1"}',
        '{"id":["a"],"marketCapUsd":"1"}',
        "7",
        '{"id":"b"}',
        '{"id":"b","marketCapUsd":"2"}',
        '{"id":"c","marketCapUsd":null}',
        '{"id":"d","marketCapUsd":"1"}',
        '{"id":"d","marketCapUsd":"1.5"}',
        '{"id":"e","marketCapUsd":2}',
        '{"id":"e","marketCapUsd":"NaN"}',
    ]
    upstream.fail_next("body", text=f'{{"data":[{",".join(items)}]}}')
    found = coincap.market_caps(["a", "b", "c", "d"])
    assert (found.caps, found.drifted) == ([MarketCap("b", Decimal(2), NOW)], False)
    assert {(rejected.slug, rejected.reason) for rejected in found.rejected} == {
        ("a", "marketCapUsd is not above zero"),
        (None, "id is not a text"),
        (None, "not an object"),
        ("b", "marketCapUsd is missing"),
        ("d", "two different values for one time"),
    }
    assert [rejected.slug for rejected in found.of("a").rejected] == ["a", None, None]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "marketCapUsd is not a finite decimal number"),
        ("negative", "marketCapUsd is not above zero"),
        ("zero", "marketCapUsd is not above zero"),
        ("no-value", "marketCapUsd is missing"),
        ("41-digits", "marketCapUsd has more than 40 significant digits"),
        ("seconds", "time is in seconds, not milliseconds"),
        ("far-future", "time is in the future"),
        ("outside", "time is outside the window asked for"),
        ("not-an-object", "not an object"),
        ("null", None),
    ],
)
def test_one_bad_market_cap_is_rejected_but_a_null_is_just_not_known(
    coincap: CoinCap, upstream: StandinCoinCap, kind: str, reason: str | None
) -> None:
    upstream.give_market_cap_history("bitcoin", [(T0 + n * HOUR, f"{n + 1}.5") for n in range(3)])
    upstream.fail_next(kind, at=1)
    found = coincap.market_cap_history("bitcoin", start=T0, end=NOW)
    assert [cap.market_cap for cap in found.caps] == [Decimal("1.5"), Decimal("3.5")]
    assert [rejected.reason for rejected in found.rejected] == ([reason] if reason else [])


@pytest.mark.parametrize("spelling", ["marketCapUsd", "marketcapUsd", "marketCap"])
def test_market_cap_history_under_any_spelling(coincap: CoinCap, upstream: StandinCoinCap, spelling: str) -> None:
    caps = [(T0 + n * DAY, f"{n + 1}00.50") for n in range(3)]
    upstream.give_market_cap_history("bitcoin", caps, spelling=spelling)
    found = coincap.market_cap_history("bitcoin", start=T0 + HOUR, end=T0 + 2 * DAY)
    assert found == Caps([MarketCap("bitcoin", Decimal("200.50"), T0 + DAY)], [])
    assert coincap.market_cap_history("bitcoin", start=T0, end=T0) == Caps([], [])


def test_market_cap_history_rejects_a_moment_with_two_values(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap_history("bitcoin", [(T0, "1"), (T0, "2"), (T0 + HOUR, "3"), (T0 + HOUR, "3.0")])
    found = coincap.market_cap_history("bitcoin", start=T0, end=T0 + DAY)
    assert found.caps == [MarketCap("bitcoin", Decimal(3), T0 + HOUR)]
    assert [rejected.reason for rejected in found.rejected] == ["two different values for one time"] * 2


@pytest.mark.parametrize("kind", ["unauthorized", "credits", "retired", "rate-limited", "html", "reset", "oversize"])
def test_no_error_and_no_log_carries_the_key(
    coincap: CoinCap, upstream: StandinCoinCap, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.fail_next(kind, times=5)
    with pytest.raises(SourceError) as raised:
        hours(coincap)
    told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(coincap)
    assert "HTTP Request" in told
    assert KEY not in told


def test_a_key_that_the_server_echoes_is_not_repeated(coincap: CoinCap, upstream: StandinCoinCap) -> None:
    upstream.fail_next("body", status=401, text=f'{{"error":"bad key {KEY}"}}')
    with pytest.raises(SourceRefused) as raised:
        hours(coincap)
    assert KEY not in str(raised.value)


def test_a_wrong_key_is_refused(upstream: StandinCoinCap) -> None:
    with CoinCap(upstream.url, "another") as coincap, pytest.raises(SourceRefused):
        hours(coincap)
    assert upstream.calls[PATH] == 1


@pytest.mark.parametrize("key", ["", " \n", f"{KEY}\n{KEY}", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_no_header_can_carry_is_refused_unspoken(upstream: StandinCoinCap, key: str) -> None:
    with pytest.raises(ValueError, match="printable") as raised:
        CoinCap(upstream.url, key)
    assert KEY not in str(raised.value)


def test_a_key_read_from_a_file_may_end_in_a_newline(upstream: StandinCoinCap, time: Time) -> None:
    with CoinCap(upstream.url, f"{KEY}\n", now=lambda: time.now) as coincap:
        assert len(hours(coincap)) == 6


def test_real_hours_arrive_as_they_stand_in_the_file(upstream: StandinCoinCap, coincap: CoinCap) -> None:
    path = DATA / "btc_usd_1h_2017-2019.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    upstream.load_csv("bitcoin", "h1", path, "open")
    start = datetime(2018, 1, 1, tzinfo=UTC)
    samples = coincap.history("bitcoin", "1h", start=start, end=start + coincap.span("1h")).samples
    with path.open(newline="") as lines:
        texts = [row["open"] for row in csv.DictReader(lines) if re.match(r"2018-01-([0-2]|30)", row["time"])]
    assert [str(sample.price) for sample in samples] == texts
    assert len(samples) == 720


def test_a_hole_in_the_days_stays_a_hole(upstream: StandinCoinCap, coincap: CoinCap) -> None:
    path = DATA / "btc_usd_1d_2014-2020.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    upstream.load_csv("bitcoin", "d1", path, "close")
    march, may = datetime(2019, 3, 1, tzinfo=UTC), datetime(2019, 5, 1, tzinfo=UTC)
    history = coincap.history("bitcoin", "1d", start=march, end=may)
    assert (len(history.samples), history.rejected) == (61 - 12, [])
