"""What a key looks like, and when it is usable."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.keys.policy import KeyParts, base62, is_usable, parse, render

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
