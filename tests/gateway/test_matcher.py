"""Which raw path leads to which row."""

import pytest

from gateway.errors import MethodRefused
from gateway.matcher import Matcher
from gateway.routes import OPEN, ROUTES, Route
from shared.errors import NotFound

matcher = Matcher(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_row_is_found_by_a_path_of_its_own(route: Route) -> None:
    path = "/".join("X-1.y_~" if segment.startswith("{") else segment for segment in route.path.split("/"))
    assert matcher.find(route.method, path) == route


def test_head_is_answered_by_get() -> None:
    assert matcher.find("HEAD", "/v1/datasets").method == "GET"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "v1/datasets",
        "/v1",
        "/v1/",
        "/v1/datasets/",
        "//v1/datasets",
        "/v1//datasets",
        "/V1/datasets",
        "/v1/datasets/BTC/",
        "/v1/datasets/./BTC",
        "/v1/datasets/..",
        "/v1/datasets/../accounts",
        "/v1/datasets/BTC/../../accounts",
        "/v1/datasets/%42TC",
        "/v1/datasets/BTC%2Fprices",
        "/v1/datasets/%2e%2e/accounts",
        "/v1/datasets/BTC%00",
        "/v1/datasets/BTC;a=b",
        "/v1/datasets/BTC?x",
        "/v1/datasets/BTC#x",
        "/v1/datasets/B TC",
        "/v1/datasets/B\\TC",
        "/v1/datasets/BTC\n",
        "/v1/datasets/ß",
        "/v1/datasets/٤",
        "/v1/datasets/{symbol}",
        "/v1/datasets/*",
        "/internal/datasets",
        "/internal/accounts",
        "/readyz/x",
        "http://elsewhere/v1/datasets",
        "/v1/datasets/BTC/frequencies",
        "/v1/{}/BTC",
    ],
)
def test_what_is_not_written_plainly_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        matcher.find("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/datasets", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/datasets", "GET, HEAD, POST"),
        ("DELETE", "/v1/datasets/BTC", "GET, HEAD, PATCH"),
        ("GET", "/v1/jobs/sync-prices/run", "POST"),
        ("HEAD", "/v1/jobs/sync-prices/run", "POST"),
        ("get", "/v1/datasets", "GET, HEAD, POST"),
        ("BREW", "/v1/me", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodRefused) as refusal:
        matcher.find(method, path)
    assert refusal.value.allow == allow
    assert refusal.value.code == "method-not-allowed"


def test_a_fixed_segment_is_preferred_and_a_dead_end_is_left() -> None:
    parameter, fixed = Route("GET", "/v1/a/{id}/b", "x", OPEN), Route("GET", "/v1/a/mine", "x", OPEN)
    both = Matcher((parameter, fixed))
    assert both.find("GET", "/v1/a/mine") == fixed
    assert both.find("GET", "/v1/a/mine/b") == parameter


def test_two_rows_for_one_operation_are_refused() -> None:
    with pytest.raises(ValueError, match="two rows"):
        Matcher((Route("GET", "/v1/a/{id}", "x", OPEN), Route("GET", "/v1/a/{name}", "y", OPEN)))
