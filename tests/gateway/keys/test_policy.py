"""What a key looks like, and when it is usable."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from gateway.keys.policy import (
    PATTERN,
    RESERVE,
    SHAPE,
    Found,
    KeyParts,
    base62,
    end_of_overlap,
    find_keys,
    is_usable,
    must_outlast,
    parse,
    render,
)

PARTS = KeyParts(id="4fK2mZq81x", secret="a" * 42 + "Z")
KEY = render(PARTS)
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def test_a_key_comes_back_as_it_was_rendered() -> None:
    assert KEY.startswith("tg_live_4fK2mZq81x_aaaa")
    assert len(KEY) == 8 + 10 + 1 + 43 + 1 + 6
    assert parse(KEY) == PARTS


@pytest.mark.parametrize(
    "key",
    [
        "",
        "hello",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.replace("live", "test"),
        KEY.upper(),
        KEY.replace("4fK2mZq81x", "4fK2mZq81y"),
        KEY.replace("aZ_", "bZ_"),
        KEY[:-6] + "000000",
        KEY.replace("a", "-"),
        KEY.replace("a", "ä"),
        KEY.replace("4", "٤"),
        f"{KEY},{KEY}",
    ],
)
def test_a_mistyped_key_is_none(key: str) -> None:
    assert parse(key) is None


def test_every_single_wrong_character_is_noticed() -> None:
    wrong = [KEY[:i] + ("b" if c != "b" else "c") + KEY[i + 1 :] for i, c in enumerate(KEY)]
    assert [parse(key) for key in wrong] == [None] * len(KEY)


def test_a_secret_is_not_printed() -> None:
    assert PARTS.secret not in repr(PARTS)


@pytest.mark.parametrize(("number", "text"), [(0, "000"), (61, "00z"), (62, "010"), (62**3 - 1, "zzz")])
def test_base62(number: int, text: str) -> None:
    assert base62(number, 3) == text


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "usable"),
    [
        (None, None, True),
        (NOW - MS, None, False),
        (NOW, None, False),
        (NOW + MS, None, True),
        (None, NOW - MS, False),
        (NOW + MS, NOW, False),
    ],
)
def test_a_key_is_usable_until_its_end(expires_at: datetime | None, revoked_at: datetime | None, usable: bool) -> None:
    assert is_usable(expires_at=expires_at, revoked_at=revoked_at, now=NOW) is usable


WRONG = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("tg_live_", []),
        (KEY[:-1], []),
        (KEY, [Found(1, "4fK2mZq81x", is_right=True)]),
        (f'key = "{KEY}";', [Found(8, "4fK2mZq81x", is_right=True)]),
        (f"x_{KEY}y", [Found(3, "4fK2mZq81x", is_right=True)]),
        (WRONG, [Found(1, "4fK2mZq81x", is_right=False)]),
        (f"{WRONG} {KEY}", [Found(1, "4fK2mZq81x", is_right=False), Found(71, "4fK2mZq81x", is_right=True)]),
        (f"{KEY}{KEY}", [Found(1, "4fK2mZq81x", is_right=True), Found(70, "4fK2mZq81x", is_right=True)]),
    ],
)
def test_keys_are_found_in_a_text(line: str, found: list[Found]) -> None:
    assert list(find_keys(line)) == found


def test_the_published_pattern_is_the_shape() -> None:
    assert re.sub(r"[()]", "", SHAPE.pattern) == PATTERN
    assert re.fullmatch(PATTERN, KEY)


@pytest.mark.parametrize(
    ("overlap", "expires_at", "end"),
    [(0 * MS, None, NOW), (MS, None, NOW + MS), (2 * MS, NOW + MS, NOW + MS), (MS, NOW + 2 * MS, NOW + MS)],
)
def test_an_overlap_ends_with_the_old_key_at_the_latest(
    overlap: timedelta, expires_at: datetime | None, end: datetime
) -> None:
    assert end_of_overlap(now=NOW, overlap=overlap, expires_at=expires_at) == end


@pytest.mark.parametrize(
    ("expires_at", "until"), [(None, NOW + RESERVE), (NOW + 2 * RESERVE, NOW + RESERVE), (NOW + MS, NOW + MS)]
)
def test_another_admin_key_has_to_last_a_day_or_as_long(expires_at: datetime | None, until: datetime) -> None:
    assert must_outlast(now=NOW, expires_at=expires_at) == until
