"""Accounts over HTTP, for Ops."""

import pytest

from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import ACCOUNTS, NOBODY
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/accounts"


def test_pages_join_without_skips_or_repeats(http: Http) -> None:
    seen: list[str] = []
    path: str | None = f"{PATH}?limit=3"
    while path:
        page = http("GET", path).json()
        seen += [account["id"] for account in page["data"]]
        path = f"{PATH}?limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == [str(account) for account in ACCOUNTS]


def test_an_account_has_a_name_a_role_and_a_standing(http: Http) -> None:
    answer = http("GET", f"{PATH}/{ACCOUNTS[0]}")
    expected = {"id": str(ACCOUNTS[0]), "name": "Account 1", "role": "quant", "standing": "good"}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_what_is_not_there_is_not_found(http: Http) -> None:
    assert refusal(http("GET", f"{PATH}/{NOBODY}")) == (404, "account-not-found")


@pytest.mark.parametrize(("path", "pointer"), [("?limit=501", "/limit"), ("?name=A", "/name"), ("/7", "/id")])
def test_bad_input_is_pointed_at(http: Http, path: str, pointer: str) -> None:
    assert pointers(http("GET", PATH + path)) == [pointer]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{NOBODY}"])
def test_nobody_is_served_without_an_identity(http: Http, path: str) -> None:
    assert refusal(http("GET", path, by=None)) == (401, "unauthenticated")


def test_a_forged_cursor_is_refused(http: Http) -> None:
    assert refusal(http("GET", f"{PATH}?cursor=forged")) == (400, "invalid-cursor")
