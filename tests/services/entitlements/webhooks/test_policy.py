"""When an attempt follows, when a webhook is given up, and which targets are never spoken to."""

from datetime import UTC, datetime, timedelta

import pytest

from services.entitlements.webhooks.policy import (
    MOST_SECRETS,
    QUIET,
    failing_from,
    fault_of,
    is_hopeless,
    is_public,
    pause_after,
    still_valid,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = 3600
MISFORMED = "an https URL of a full name or a plain address, without user, password or fragment"


def test_what_a_cloud_keeps_for_itself_is_not_public() -> None:
    assert not is_public("168.63.129.16")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_what_is_out_there_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://example.com", None),
        ("HTTPS://example.com/x", None),
        ("https://example.com:8443/a?b=c", None),
        ("https://[2606:4700::1111]/", None),
        ("https://hooks.my_desk.example.com.?a", None),
        ("https://8.8.8.8:65535/", None),
        ("http://example.com", MISFORMED),
        ("ftp://example.com", MISFORMED),
        ("example.com", MISFORMED),
        ("https://", MISFORMED),
        ("https://user@example.com", MISFORMED),
        ("https://example.com@127.0.0.1/", MISFORMED),
        ("https://example.com/#x", MISFORMED),
        ("https://example.com:0/", MISFORMED),
        ("https://example.com:65536/", MISFORMED),
        ("https://example.com/\n", MISFORMED),
        ("https://example.com/caf\xe9", MISFORMED),
        ("https://[::1/", MISFORMED),
        ("https://localhost/", MISFORMED),
        ("https://printer/", MISFORMED),
        ("https://2130706433/", MISFORMED),
        ("https://0x7f.1/", MISFORMED),
        ("https://010.1.1.1/", MISFORMED),
        ("https://a.localhost./", "a host on the open internet"),
        ("https://10.1.2.3/", "a host on the open internet"),
        ("https://[::ffff:127.0.0.1]/", "a host on the open internet"),
        ("https://[1.2]/", "a host on the open internet"),
    ],
)
def test_a_target_is_looked_at_before_it_is_kept(url: str, fault: str | None) -> None:
    assert fault_of(url, anywhere=False) == fault


def test_in_development_any_target_will_do() -> None:
    assert fault_of("http://127.0.0.1:8000/", anywhere=True) is None
    assert fault_of("ftp://127.0.0.1/", anywhere=True) is not None


@pytest.mark.parametrize(
    ("since", "last", "then"),
    [
        (None, None, NOW),
        (None, NOW - timedelta(days=1), NOW),
        (NOW - timedelta(days=4), NOW - QUIET, NOW - timedelta(days=4)),
        (NOW - timedelta(days=31), NOW - timedelta(days=28), NOW),
    ],
)
def test_a_time_in_which_nothing_was_sent_is_no_time_of_failures(
    since: datetime | None, last: datetime | None, then: datetime
) -> None:
    assert failing_from(since, last, NOW) == then


def test_an_old_secret_is_signed_with_until_its_own_time_and_so_are_the_latest_few() -> None:
    old = [{"sealed": "", "until": (NOW + timedelta(hours=hour)).isoformat()} for hour in range(-1, MOST_SECRETS + 5)]
    assert still_valid(old[:4], NOW) == old[2:4]
    assert still_valid(old, NOW) == old[1 - MOST_SECRETS :]


@pytest.mark.parametrize(
    ("tries", "seconds"),
    [
        (1, 5),
        (2, 300),
        (3, 1800),
        (4, 2 * HOUR),
        (5, 5 * HOUR),
        (6, 10 * HOUR),
        (7, 14 * HOUR),
        (8, 20 * HOUR),
        (9, 24 * HOUR),
    ],
)
def test_each_pause_is_the_schedule_s_give_or_take_a_fifth(tries: int, seconds: int) -> None:
    pauses = [pause_after(tries, chance=chance, asked=None) for chance in (0.0, 0.5, 1.0)]
    assert pauses == [timedelta(seconds=seconds * factor) for factor in (0.8, 1.0, 1.2)]


def test_ten_tries_are_all() -> None:
    assert pause_after(10, chance=0.5, asked=10) is None


@pytest.mark.parametrize(("asked", "seconds"), [(None, 5), (1, 5), (120, 120), (10 * 24 * HOUR, 24 * HOUR)])
def test_a_receiver_gets_the_time_it_asks_for_up_to_a_day(asked: float | None, seconds: int) -> None:
    assert pause_after(1, chance=0.5, asked=asked) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("since", "hopeless"), [(None, False), (timedelta(days=5) - timedelta(seconds=1), False), (timedelta(days=5), True)]
)
def test_five_days_of_nothing_but_failures_are_enough(since: timedelta | None, hopeless: bool) -> None:
    assert is_hopeless(None if since is None else NOW - since, NOW) is hopeless
