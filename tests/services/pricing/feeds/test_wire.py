"""A history that is read in one step is read as item by item, and any other one is not read in one step."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pricing.feeds import wire

HOUR = 3_600_000
PAGE = wire.Page(start=10 * HOUR, end=14 * HOUR, period=HOUR, latest=13 * HOUR)
USUAL = {"time": 11 * HOUR, "priceUsd": "109587.7240219355226081"}

times = st.sampled_from([9, 10, 11, 12, 13, 14, 15]).map(lambda hour: hour * HOUR) | st.just(11 * HOUR + 1)
decimals = st.sampled_from(["1.5", "2.50", "0.0", "109587.7240219355226081", "19876725.0000000000000000"])
points = st.lists(
    st.fixed_dictionaries(
        {"time": times, "priceUsd": decimals},
        optional={"circulatingSupply": decimals | st.none(), "date": st.just("2025-06-10T05:00:00.000Z")},
    ),
    max_size=6,
)


@given(points)
def test_what_is_read_in_one_step_is_what_is_read_item_by_item(items: list[dict[str, Any]]) -> None:
    body = json.dumps({"data": items, "timestamp": 1}).encode()
    read = wire.history_document(body)
    assert isinstance(read, wire.Regular)
    assert wire.history(read, PAGE) == wire.history(wire.document(body), PAGE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", "39600000"),
        ("time", 39600000.0),
        ("time", True),
        ("time", None),
        ("priceUsd", 1.5),
        ("priceUsd", 7),
        ("priceUsd", "7"),
        ("priceUsd", "1e3"),
        ("priceUsd", "-1.5"),
        ("priceUsd", "1.5\n"),
        ("priceUsd", "NaN"),
        ("priceUsd", "0." + 19 * "1"),
        ("priceUsd", None),
        ("circulatingSupply", 19876725),
        ("circulatingSupply", "-1.0"),
    ],
)
def test_an_item_that_is_not_as_nearly_all_are_has_its_page_read_item_by_item(field: str, value: object) -> None:
    assert isinstance(wire.history_document(json.dumps({"data": [USUAL]}).encode()), wire.Regular)
    body = json.dumps({"data": [USUAL, {**USUAL, field: value}]}).encode()
    assert not isinstance(wire.history_document(body), wire.Regular)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"data": {"message": "no"}}', b'{"data": [1'])
def test_what_is_no_history_is_read_as_any_document(body: bytes) -> None:
    try:
        expected = wire.document(body)
    except ValueError:
        with pytest.raises(ValueError, match="line 1"):
            wire.history_document(body)
    else:
        assert wire.history_document(body) == expected
