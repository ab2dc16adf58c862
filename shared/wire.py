"""What crosses the wire: strict bodies, instants in UTC, text without control characters."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    StringConstraints,
)
from pydantic_core import CoreSchema

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
BREAKS = r"\t\n\r\u0085\u2028\u2029\u202a-\u202e\u2066-\u2069"
CONTROLS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f"
BREAKING = re.compile(f"[{BREAKS}]")
CONTROL = re.compile(f"[{CONTROLS}\\ud800-\\udfff]")
SAID = r"^[^{unsaid}]*[^\s\u0085{unsaid}][^{unsaid}]*$"  # published only: something is said, and nothing of that

GIVEN: JsonValue = {"type": ["boolean", "integer", "string", "array"]}  # published only: not null
PLAIN = ("bool", "int", "float", "str")


def absent(*names: str) -> dict[str, JsonValue]:
    """For the `properties` of a published schema: these are left out, or null."""
    return {name: {"type": "null"} for name in names}


def _be_strict(schema: Any) -> None:
    """Mark every plain value in a schema, in place, as one that is not converted."""
    if isinstance(schema, list):
        for part in schema:
            _be_strict(part)
    elif isinstance(schema, dict):
        if schema.get("type") in PLAIN:
            schema["strict"] = True
        for part in schema.values():
            _be_strict(part)


class Query(BaseModel):
    """The base of every query: a field that is not known is refused, not ignored; numbers are read from their text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Query):
    """The base of every request body: besides, a number is a number and a boolean a boolean, never one for the other.

    Pydantic's own `strict` would refuse what JSON can only say as text: instants, ids.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema as Pydantic makes it, with its plain values strict."""
        schema = handler(source)
        _be_strict(schema)
        return schema


class Output(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(from_attributes=True)


def instant_text(value: datetime | None) -> str | None:
    """The instant as RFC 3339 in UTC with `Z`."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("a date (2026-01-31) or a datetime with zone (2026-01-31T20:00:00Z)")
    if DATE.fullmatch(value):
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    if not RFC3339.fullmatch(value):
        raise ValueError("a date (2026-01-31) or a datetime with zone (2026-01-31T20:00:00Z)")
    return value


def _day(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and DATE.fullmatch(value)):
        return value
    raise ValueError("a date (2026-01-31)")


def _said(value: Any) -> Any:
    if value is not True:
        raise ValueError("true, or nothing")
    return value


def _in_utc(value: datetime) -> datetime:
    if not 1900 < value.year < 3000:
        raise ValueError("a year between 1901 and 2999")
    return value.astimezone(UTC)


def _one_line(value: str) -> str:
    if BREAKING.search(value):
        raise ValueError("text on one line")
    return _printable(value)


def _printable(value: str) -> str:
    if CONTROL.search(value):
        raise ValueError("text without control characters")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_day)]
Said = Annotated[Literal[True], BeforeValidator(_said)]  # 1 equals True, and would pass for it
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": SAID.format(unsaid=CONTROLS + BREAKS)}),
]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000),
    AfterValidator(_printable),
    Field(json_schema_extra={"pattern": SAID.format(unsaid=CONTROLS)}),
]
