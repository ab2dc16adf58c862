"""A cursor is good for the list that gave it out, and for nothing else."""

import base64
import json

import pytest
from fastapi import Request, Response
from pydantic import ValidationError

from shared.pagination import SIGNATURE, Cursors, InvalidCursor, Page, cut, link_next

CURSORS = Cursors("a secret of the service")
GOOD = CURSORS.dump("grants", ["2026-01-31T20:00:00Z", 7])


def test_a_cursor_comes_back_as_the_position_it_stands_for() -> None:
    assert CURSORS.load("grants", GOOD) == ["2026-01-31T20:00:00Z", 7]


def test_a_cursor_needs_no_escaping_in_a_url() -> None:
    for number in range(200):
        cursor = CURSORS.dump("grants", number)
        assert cursor.replace("-", "").replace("_", "").isalnum()


def forged() -> str:
    """A cursor of our shape with a signature of its author's own."""
    return base64.urlsafe_b64encode(b"x" * SIGNATURE + json.dumps("A").encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param(forged(), id="forged"),
        pytest.param(CURSORS.dump("requests", 7), id="another list's"),
        pytest.param(Cursors("a secret of another service").dump("grants", 7), id="another service's"),
        pytest.param(Cursors("").dump("grants", 7), id="without a secret"),
        pytest.param(GOOD[:-2], id="truncated"),
        pytest.param(GOOD[:8], id="shorter than a signature"),
        pytest.param(GOOD[2:], id="beheaded"),
        pytest.param(GOOD + "AAAA", id="lengthened"),
        pytest.param("A", id="no base64"),
        pytest.param("", id="empty"),
        pytest.param("курсор", id="not ASCII"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param("\x00" * 40, id="NUL"),
        pytest.param("../../etc/passwd", id="garbage"),
    ],
)
def test_any_other_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor) as refused:
        CURSORS.load("grants", cursor)

    assert refused.value.status == 400
    assert refused.value.code == "invalid-cursor"


@pytest.mark.parametrize("flipped", range(0, len(GOOD) - 1, 5))
def test_a_cursor_with_one_character_changed_is_refused(flipped: int) -> None:
    changed = GOOD[:flipped] + ("A" if GOOD[flipped] != "A" else "B") + GOOD[flipped + 1 :]

    with pytest.raises(InvalidCursor):
        CURSORS.load("grants", changed)


def test_a_page_is_cut_from_one_row_too_many() -> None:
    assert cut([1, 2, 3], 2) == ([1, 2], True)
    assert cut([1, 2], 2) == ([1, 2], False)
    assert cut([], 2) == ([], False)


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 501}, {"limit": "1e3"}, {"cursor": "x" * 1001}, {"offset": 1}]
)
def test_a_page_has_limits(query: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Page.model_validate(query)


def test_the_next_page_is_linked_with_the_query_of_this_one() -> None:
    scope = {"type": "http", "path": "/v1/grants", "query_string": b"limit=2&cursor=old", "headers": []}
    response, last = Response(), Response()

    link_next(Request(scope), response, "new")
    link_next(Request(scope), last, None)

    assert response.headers["Link"] == '</v1/grants?limit=2&cursor=new>; rel="next"'
    assert "Link" not in last.headers
