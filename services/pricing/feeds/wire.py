"""CoinCap's JSON, read strictly: what is exact becomes a sample, everything else is rejected with its reason."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from services.pricing.feeds.entities import Caps, History, MarketCap, Rejected, Sample

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MARKET_CAP_KEYS = ("marketCapUsd", "marketcapUsd", "marketCap")
Key = TypeVar("Key", str, int)

TORN = "two different values for one time"
RAW_CHARACTERS = 2_000
RAW_DEPTH = 8
DIGITS = 40
DECIMALS = 60
DECIMAL = re.compile(r"-?[0-9]{1,200}(\.[0-9]{1,200})?([eE][+-]?[0-9]{1,3})?")
INTEGER_DIGITS = 18
INTEGER = re.compile(rf"-?[0-9]{{1,{INTEGER_DIGITS}}}")
PlainDecimal = Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,21}\.[0-9]{1,18}$")]  # within all limits


class Number(str):
    """The text of a JSON number, kept as it came so that no digit is lost."""

    __slots__ = ()


@dataclass(frozen=True)
class Page:
    """What was asked for, in epoch milliseconds: [start, end) on a grid of `period`, nothing after `latest`."""

    start: int
    end: int
    period: int
    latest: int


class _Point(TypedDict):
    """An item of a history as nearly all are."""

    time: Annotated[int, Field(strict=True)]
    priceUsd: PlainDecimal
    circulatingSupply: NotRequired[PlainDecimal | None]


class _Points(TypedDict):
    data: list[_Point]


@dataclass(frozen=True)
class Regular:
    """A history in which every item is as nearly all are, read in one step; and as it came, in case one is not true."""

    points: list[_Point]
    body: bytes


class _Refusal(Exception):
    """Why one item cannot be used."""


_REGULAR = TypeAdapter(_Points)


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime, rounded up: no bound moves past a point of the grid."""
    return -((EPOCH - moment) // MILLISECOND)


def moment_of(milliseconds_: int) -> datetime:
    """The aware UTC datetime of epoch milliseconds."""
    return EPOCH + milliseconds_ * MILLISECOND


def document(body: bytes) -> Any:
    """The JSON in `body`, its numbers as `Number`; `ValueError` when it is none, was cut short or nests too deep."""
    try:
        return json.loads(body, parse_float=Number, parse_int=Number, parse_constant=Number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def history_document(body: bytes) -> Any:
    """A history's JSON: `Regular` where it is, else a `document`."""
    try:
        return Regular(_REGULAR.validate_json(body)["data"], body)
    except ValidationError:
        return document(body)


def data_of(answer: Any) -> Any:
    """What stands under `data`, or None."""
    return answer.get("data") if isinstance(answer, dict) else None


def history(answer: Any, page: Page) -> History:
    """The samples of one history page; whatever cannot be trusted is rejected, and the rest of the page kept."""
    if isinstance(answer, Regular):
        samples = _regular(answer.points, page)
        if samples is not None:
            return History(samples, [])
        answer = document(answer.body)
    items = data_of(answer)
    if not isinstance(items, list):
        return History([], [_rejected(answer, "data is not an array")])
    samples, rejected = [], []
    for item in items:
        try:
            samples.append(_sample(item, page))
        except _Refusal as refusal:
            rejected.append(_rejected(item, str(refusal)))
    samples, torn = _ordered(samples)
    rejected += [_rejected(item, TORN) for item in items if torn and _at(item, page) in torn]
    return History(_before_end(samples, page), rejected)


def market_caps(answer: Any, *, wanted: Sequence[str], observed_at: datetime) -> Caps:
    """The wanted assets' market capitalisations; what was not asked for is left out."""
    known, rejected, sound = _known(answer, _id)
    caps = [MarketCap(slug, known[slug], observed_at) for slug in dict.fromkeys(wanted) if slug in known]
    return Caps(caps, [item for item in rejected if item.slug is None or item.slug in wanted], sound)


def market_cap_history(slug: str, answer: Any, page: Page) -> Caps:
    """The market capitalisations in [start, end), ascending; no moment that has two different values."""
    known, rejected, sound = _known(answer, lambda item: _time(item, page))
    caps = [MarketCap(slug, cap, moment_of(time)) for time, cap in sorted(known.items()) if time < page.end]
    return Caps(caps, rejected, sound)


def _known(answer: Any, key_of: Callable[[Any], Key]) -> tuple[dict[Key, Decimal], list[Rejected], bool]:
    """The market capitalisations that are known, one a key; what is wrong; whether anything could be read."""
    items = data_of(answer)
    if not isinstance(items, list):
        return {}, [_rejected(answer, "data is not an array")], False
    found: dict[Key, list[tuple[Decimal, Any]]] = defaultdict(list)
    rejected, sound = [], False
    for item in items:
        try:
            key, cap = key_of(item), _market_cap(item)
        except _Refusal as refusal:
            rejected.append(_rejected(item, str(refusal)))
            continue
        sound = True
        if cap is not None:
            found[key].append((cap, item))
    known = {key: those[0][0] for key, those in found.items() if len({cap for cap, _ in those}) == 1}
    torn = [item for key, those in found.items() if key not in known for _, item in those]
    return known, rejected + [_rejected(item, TORN) for item in torn], sound


def _regular(points: Sequence[_Point], page: Page) -> list[Sample] | None:
    """The samples of points of which none is wrong, nor out of order; None where one is."""
    samples = []
    last = page.start - 1
    for point in points:
        at, price, supply = point["time"], Decimal(point["priceUsd"]), point.get("circulatingSupply")
        if not last < at <= page.end or at > page.latest or at % page.period or not price:
            return None
        samples.append(Sample(moment_of(at), price, (Decimal(supply) or None) if supply else None))
        last = at
    return _before_end(samples, page)


def _before_end(samples: list[Sample], page: Page) -> list[Sample]:
    """CoinCap counts the end in."""
    return samples[:-1] if samples and samples[-1].timestamp == moment_of(page.end) else samples


def _ordered(samples: Sequence[Sample]) -> tuple[list[Sample], set[datetime]]:
    """One sample a time, ascending, and the times of which there are different ones."""
    found: dict[datetime, Sample] = {}
    torn = {sample.timestamp for sample in samples if found.setdefault(sample.timestamp, sample) != sample}
    return [found[at] for at in sorted(found) if at not in torn], torn


def _sample(item: Any, page: Page) -> Sample:
    time = _time(item, page)
    return Sample(moment_of(time), _decimal(item, "priceUsd"), _supply(item))


def _at(item: Any, page: Page) -> datetime | None:
    """When an item is of, if it can be a sample."""
    try:
        return _sample(item, page).timestamp
    except _Refusal:
        return None


def _field(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise _Refusal("not an object")
    if item.get(key) is None:
        raise _Refusal(f"{key} is missing")
    return item[key]


def _id(item: Any) -> str:
    text = _field(item, "id")
    if not isinstance(text, str):
        raise _Refusal("id is not a text")
    return text


def _time(item: Any, page: Page) -> int:
    text = _field(item, "time")
    if not isinstance(text, Number) or not INTEGER.fullmatch(text):
        raise _Refusal("time is not an integer")
    time = int(text)
    if page.start <= time <= page.end and time <= page.latest and time % page.period == 0:
        return time
    raise _Refusal(_why_not(time, page))


def _why_not(time: int, page: Page) -> str:
    if page.start <= time * 1000 <= page.end:
        return "time is in seconds, not milliseconds"
    if time > page.latest:
        return "time is in the future"
    if not page.start <= time <= page.end:
        return "time is outside the window asked for"
    return "time is off the grid"


def _decimal(item: Any, key: str) -> Decimal:
    text = _field(item, key)
    value = _number(text, key)
    if value <= 0:
        raise _Refusal(f"{key} is not above zero")
    return value


def _market_cap(item: Any) -> Decimal | None:
    """Under any of its spellings; None where it is said not to be known."""
    told = [key for key in MARKET_CAP_KEYS if key in item]
    known = [key for key in told if item[key] is not None]
    return _decimal(item, (known or MARKET_CAP_KEYS)[0]) if known or not told else None


def _supply(item: Any) -> Decimal | None:
    """CoinCap writes an unknown supply as null, as zero, or not at all."""
    if item.get("circulatingSupply") is None:
        return None
    supply = _number(item["circulatingSupply"], "circulatingSupply")
    if supply < 0:
        raise _Refusal("circulatingSupply is negative")
    return supply or None


def _number(text: Any, key: str) -> Decimal:
    """The value in plain form; its digits, trailing zeros too, are those of the text."""
    if not isinstance(text, str) or not DECIMAL.fullmatch(text):
        raise _Refusal(f"{key} is not a finite decimal number")
    value = Decimal(text)
    plain = format(value, "f")
    if len(plain.lstrip("-0.").replace(".", "")) > DIGITS:
        raise _Refusal(f"{key} has more than {DIGITS} significant digits")
    if len(plain.partition(".")[2]) > DECIMALS:
        raise _Refusal(f"{key} has more than {DECIMALS} decimal places")
    return Decimal(plain)


def _rejected(item: Any, reason: str) -> Rejected:
    told = item.get("id") if isinstance(item, dict) else None
    return Rejected(_raw(item)[:RAW_CHARACTERS], reason, told if isinstance(told, str) else None)


def _raw(value: Any, depth: int = 0) -> str:
    """JSON again; json.dumps would put a `Number` in quotes."""
    if isinstance(value, Number):
        return value
    if depth == RAW_DEPTH:
        return '"..."'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_raw(held, depth + 1)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_raw(held, depth + 1) for held in value) + "]"
    return json.dumps(value)
