"""What crosses the wire: instants are dates or have a zone, and text has no control characters."""

from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from pydantic import TypeAdapter, ValidationError

from shared.wire import Day, Input, Instant, Line, Query, Said, Text, instant_text

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
LINE: TypeAdapter[str] = TypeAdapter(Line)
TEXT: TypeAdapter[str] = TypeAdapter(Text)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2026-01-31T20:00:00Z", "2026-01-31T20:00:00Z"),
        ("2026-01-31t20:00:00z", "2026-01-31T20:00:00Z"),
        ("2026-01-31T20:00Z", "2026-01-31T20:00:00Z"),
        ("2026-01-31 20:00:00+00:00", "2026-01-31T20:00:00Z"),
        ("2026-01-31T20:00:00+05:30", "2026-01-31T14:30:00Z"),
        ("2026-01-31T20:00:00-11:00", "2026-02-01T07:00:00Z"),
        ("2026-01-31T20:00:00.123456789Z", "2026-01-31T20:00:00.123456Z"),
        ("1901-01-01", "1901-01-01T00:00:00Z"),
        ("2999-12-31", "2999-12-31T00:00:00Z"),
        (datetime(2026, 1, 31, 20, tzinfo=timezone(timedelta(hours=1))), "2026-01-31T19:00:00Z"),
    ],
)
def test_a_date_or_a_datetime_with_zone_is_an_instant_in_utc(given: Any, meant: str) -> None:
    instant = INSTANT.validate_python(given)

    assert instant.tzinfo is UTC
    assert instant_text(instant) == meant


@pytest.mark.parametrize(
    "given",
    [
        "2026-02-03T10:00:00",
        datetime(2026, 1, 31),  # noqa: DTZ001
        1_769_889_600,
        1_769_889_600.5,
        "1769889600",
        True,
        None,
        "",
        "tomorrow",
        "2026-02-30",
        "2026-13-01",
        "2026-1-1",
        "20260131",
        "2026-W05-6",
        "2026-01-31T25:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T20:00:00+24:00",
        "2026-01-31T20:00:00+99:99",
        "2026-01-31T20:00:00Z\n",
        " 2026-01-31",
        "2026-01-31\x00",
        "२०२६-०१-३१",
        "२०२६-०१-३१T20:00:00Z",
        "0001-01-01",
        "0001-01-01T00:00:00+14:00",
        "1900-12-31",
        "3000-01-01",
        "9999-12-31T23:59:59-12:00",
        {"year": 2026},
        ["2026-01-31"],
    ],
)
def test_anything_else_is_refused_without_being_echoed(given: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        INSTANT.validate_python(given)

    messages = [error["msg"] for error in refused.value.errors()]
    assert len(messages) == 1
    assert given == "" or str(given) not in messages[0]


def test_no_instant_is_no_text() -> None:
    assert instant_text(None) is None


@pytest.mark.parametrize("hostile", ["\x00", "\x07", "\x1b[31m", "\x7f", "\ud800", "\x0b"])
def test_control_characters_are_refused(hostile: str) -> None:
    for adapter in (LINE, TEXT):
        with pytest.raises(ValidationError):
            adapter.validate_python(f"a{hostile}b")


@pytest.mark.parametrize(
    ("given", "kept"), [("  Bitcoin ", "Bitcoin"), ("größer ₿ 🚀", "größer ₿ 🚀"), ("a\tb", "a\tb"), ("a\nb", "a\nb")]
)
def test_text_is_stripped_and_kept(given: str, kept: str) -> None:
    assert TEXT.validate_python(given) == kept


@pytest.mark.parametrize(("adapter", "longest"), [(LINE, 200), (TEXT, 2000)])
def test_text_has_at_least_one_and_at_most_so_many_characters(adapter: TypeAdapter[str], longest: int) -> None:
    assert adapter.validate_python("x" * longest)
    for wrong in ("", "   ", "x" * (longest + 1)):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_an_unknown_field_is_refused() -> None:
    class Body(Input):
        name: Line

    with pytest.raises(ValidationError, match="Extra inputs"):
        Body.model_validate({"name": "x", "nome": "y"})


class _Inner(Input):
    days: int


class _Body(Input):
    days: int | None = None
    trial: bool = False
    forever: Said | None = None
    share: float = 0
    name: Line = "x"
    names: tuple[Line, ...] = ()
    account: UUID | None = None
    starts_at: Instant | None = None
    day: Day | None = None
    inner: _Inner | None = None


ID = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"


@pytest.mark.parametrize(
    "given",
    [
        {"days": True},
        {"days": "5"},
        {"days": 5.0},
        {"trial": 1},
        {"trial": 0},
        {"trial": "true"},
        {"trial": 1.0},
        {"forever": 1},
        {"forever": "true"},
        {"share": True},
        {"share": "0.5"},
        {"name": 5},
        {"names": [True]},
        {"names": "x"},
        {"account": 5},
        {"starts_at": 0},
        {"day": 0},
        {"day": 1769817600},
        {"day": "1769817600"},
        {"day": "2026-01-31T00:00:00Z"},
        {"inner": {"days": True}},
        {"inner": {"days": "5"}},
    ],
)
def test_b1_a_body_says_what_it_means_in_the_type_it_means(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _Body.model_validate(given)


def test_what_json_can_only_say_as_text_is_read_from_text() -> None:
    read = _Body.model_validate(
        {
            "days": 5,
            "trial": True,
            "forever": True,
            "share": 1,
            "account": ID,
            "starts_at": "2026-01-31",
            "day": "2026-01-31",
        }
    )
    assert (read.days, read.trial, read.share, read.account) == (5, True, 1.0, UUID(ID))
    assert (read.day, instant_text(read.starts_at)) == (date(2026, 1, 31), "2026-01-31T00:00:00Z")


def test_a_query_is_all_text() -> None:
    class Which(Query):
        limit: int

    assert Which.model_validate({"limit": "5"}).limit == 5
    with pytest.raises(ValidationError, match="Extra inputs"):
        Which.model_validate({"limit": "5", "offset": "1"})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a", True),
        (" a\u0085", True),
        ("", False),
        (" ", False),
        ("\u0085", False),
        ("\u3000\xa0", False),
        ("a\0", False),
    ],
)
def test_what_text_may_be_is_published(text: str, fits: bool) -> None:
    assert jsonschema_rs.is_valid(TEXT.json_schema(), text) is fits
    with nullcontext() if fits else pytest.raises(ValidationError):
        TEXT.validate_python(text)
