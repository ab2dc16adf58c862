"""The inbox over HTTP."""

from contextlib import closing
from uuid import uuid4

import pytest

from services.entitlements.notifications.tasks import notify
from shared.database import Database
from shared.ids import new_id
from shared.outbox import Event
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import NOBODY, OTHER, QUANT, T0, person
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/notifications"


def tell(stores: Stores, to: Principal, times: int) -> None:
    """Put messages into an inbox, as the worker does."""
    payload = {"recipient": str(to.account), "data": {"dataset": "BTC"}}
    with closing(Database(stores.app_url("entitlements"), pool_size=1)) as database:
        for _ in range(times):
            with database.transaction() as session:
                event = Event(id=new_id(), type="access.decided", payload=payload, created_at=T0, request_id=None)
                notify(session, event)


def test_pages_join_without_skips_and_what_was_read_is_left_out(http: Http, module_stores: Stores) -> None:
    ada = person()
    tell(module_stores, ada, 5)
    everything = [n["id"] for n in http("GET", PATH, by=ada).json()["data"]]
    first = http("GET", f"{PATH}?limit=2", by=ada).json()
    rest = http("GET", f"{PATH}?cursor={first['next_cursor']}", by=ada).json()
    assert [n["id"] for n in first["data"] + rest["data"]] == everything
    assert [n["id"] for n in http("GET", f"{PATH}?after={everything[2]}", by=ada).json()["data"]] == everything[3:]
    marked = http("POST", f"{PATH}/{everything[0]}/read", by=ada)
    assert (marked.status_code, marked.json()["read_at"] is None) == (200, False)
    assert [n["id"] for n in http("GET", f"{PATH}?unread=true", by=ada).json()["data"]] == everything[1:]


def test_a_notification_is_what_the_api_says(http: Http, module_stores: Stores) -> None:
    ada = person()
    tell(module_stores, ada, 1)
    [told] = http("GET", PATH, by=ada).json()["data"]
    assert told.keys() == {"id", "type", "created_at", "read_at", "data"}
    assert (told["type"], told["created_at"], told["read_at"]) == ("access.decided", "2026-05-04T12:00:00Z", None)


def test_another_s_notification_is_not_found(http: Http, module_stores: Stores) -> None:
    ada = person()
    tell(module_stores, ada, 1)
    [told] = http("GET", PATH, by=ada).json()["data"]
    for id_ in (told["id"], uuid4()):
        assert refusal(http("POST", f"{PATH}/{id_}/read", by=OTHER)) == (404, "notification-not-found")


@pytest.mark.parametrize("query", ["limit=0", "after=7", "unread=perhaps", "since=now"])
def test_a_query_that_makes_no_sense_is_pointed_at(http: Http, query: str) -> None:
    assert pointers(http("GET", f"{PATH}?{query}", by=QUANT)) == ["/" + query.partition("=")[0]]


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("POST", f"{PATH}/{NOBODY}/read")])
def test_nobody_is_served_without_an_identity(http: Http, method: str, path: str) -> None:
    assert refusal(http(method, path, by=None)) == (401, "unauthenticated")


def test_a_forged_cursor_is_refused(http: Http) -> None:
    assert refusal(http("GET", f"{PATH}?cursor=forged", by=QUANT)) == (400, "invalid-cursor")
