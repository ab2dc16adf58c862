"""K1: every operation that the merged OpenAPI names, for every state of a credential: one table, nothing left out."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from gateway.keys.secrets import KeySecrets
from tests.journeys.bad_inputs import OPERATIONS, Operation
from tests.journeys.test_bad_input import KEPT, METHODS
from tests.world import World, until

OPEN, ADMITTED, ROLE, NOT_FOUND, NONE = "open", "admitted", "role-not-allowed", "not found", "never-requested"
BAD = ("malformed", "mistyped", "unknown", "revoked", "expired")
GOOD = ("quant A", "quant B", "ops", "admin")
CREDENTIALS = ("no key", *BAD, *GOOD)

EVERYBODY = (OPEN,) * 4
PERSONS = (ADMITTED,) * 4
STAFF = (ROLE, ROLE, ADMITTED, ADMITTED)
ADMINS = (ROLE, ROLE, ROLE, ADMITTED)
OWN = (ADMITTED, NOT_FOUND, ADMITTED, ADMITTED)  # Ops sees what is everybody's
PRIVATE = (ADMITTED, NOT_FOUND, NOT_FOUND, NOT_FOUND)
GRANTED = (ADMITTED, NONE, NONE, NONE)
TABLE = {  # what is said to quant A, whose objects the paths name; to quant B; to ops; to admin
    ("GET", "/v1/datasets"): EVERYBODY,
    ("GET", "/v1/datasets/{symbol}"): EVERYBODY,
    ("GET", "/v1/datasets/{symbol}/coverage"): EVERYBODY,
    ("POST", "/v1/datasets"): STAFF,
    ("PATCH", "/v1/datasets/{symbol}"): STAFF,
    ("DELETE", "/v1/datasets/{symbol}/frequencies/{frequency}"): STAFF,
    ("GET", "/v1/datasets/{symbol}/prices"): GRANTED,
    ("GET", "/v1/datasets/{symbol}/market-caps"): GRANTED,
    ("POST", "/v1/access-requests"): PERSONS,
    ("POST", "/v1/access-requests/preview"): PERSONS,
    ("GET", "/v1/access-requests"): PERSONS,
    ("GET", "/v1/access-requests/{id}"): OWN,
    ("POST", "/v1/access-requests/{id}/withdraw"): PRIVATE,
    ("POST", "/v1/access-requests/{id}/answer"): PRIVATE,
    ("POST", "/v1/access-requests/{id}/question"): STAFF,
    ("POST", "/v1/access-requests/{id}/decisions"): STAFF,
    ("POST", "/v1/decisions"): STAFF,
    ("GET", "/v1/grants"): PERSONS,
    ("POST", "/v1/grants"): STAFF,
    ("GET", "/v1/grants/{id}"): OWN,
    ("POST", "/v1/grants/{id}/revoke"): STAFF,
    ("POST", "/v1/grants/{id}/keep"): STAFF,
    ("POST", "/v1/grants/{id}/extend"): STAFF,
    ("POST", "/v1/grants/{id}/relinquish"): PRIVATE,
    ("GET", "/v1/notifications"): PERSONS,
    ("GET", "/v1/notifications/stream"): PERSONS,
    ("POST", "/v1/notifications/{id}/read"): PRIVATE,
    ("GET", "/v1/webhooks"): PERSONS,
    ("POST", "/v1/webhooks"): PERSONS,
    ("GET", "/v1/webhooks/{id}"): OWN,
    ("DELETE", "/v1/webhooks/{id}"): OWN,
    ("POST", "/v1/webhooks/{id}/rotate"): PRIVATE,
    ("GET", "/v1/webhooks/{id}/deliveries"): PRIVATE,
    ("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay"): PRIVATE,
    ("GET", "/v1/accounts"): STAFF,
    ("GET", "/v1/accounts/{id}"): STAFF,
    ("GET", "/v1/rules"): STAFF,
    ("PUT", "/v1/rules"): ADMINS,
    ("POST", "/v1/rules/simulate"): STAFF,
    ("POST", "/v1/accounts/{id}/block"): STAFF,
    ("POST", "/v1/accounts/{id}/unblock"): STAFF,
    ("POST", "/v1/accounts/{id}/close"): STAFF,
    ("GET", "/v1/audit-events"): STAFF,
    ("GET", "/v1/audit-events/verify"): STAFF,
    ("GET", "/v1/jobs"): STAFF,
    ("POST", "/v1/jobs/{name}/run"): STAFF,
    ("GET", "/v1/usage"): STAFF,
    ("GET", "/v1/me"): PERSONS,
    ("GET", "/v1/me/coverage"): PERSONS,
    ("GET", "/v1/api-keys"): ADMINS,
    ("POST", "/v1/api-keys"): ADMINS,
    ("GET", "/v1/api-keys/{id}"): ADMINS,
    ("DELETE", "/v1/api-keys/{id}"): ADMINS,
    ("POST", "/v1/api-keys/{id}/rotate"): ADMINS,
}
EFFECTLESS = {("POST", "/v1/notifications/{id}/read")}  # may be done for real: who may not, finds nothing
FREQUENCY = {"/v1/datasets/{symbol}/prices": "?frequency=1h"}


@dataclass(frozen=True)
class Cast:
    """The keys in every state, and what belongs to quant A."""

    world: World
    keys: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def cast(hostile_world: World) -> Iterator[Cast]:
    """Quant A holds a grant and has a notification; quant B has nothing."""
    with ExitStack() as stack:
        admin, ops = (stack.enter_context(hostile_world.person(role)) for role in ("admin", "ops"))
        made = {
            name: admin.post("/v1/api-keys", json={"name": f"{name} of the matrix", "role": "quant"} | more).json()
            for name, more in {
                "quant A": {},
                "quant B": {},
                "revoked": {},
                "expired": {"expires_at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()},
            }.items()
        }
        keys = {name: key["key"] for name, key in made.items()} | hostile_world.keys
        keys |= {"malformed": "hello", "mistyped": keys["quant A"][:-1] + "!"}
        keys["unknown"] = KeySecrets(hostile_world.env["TICKGATE_KEY_PEPPER"]).mint().text
        assert admin.delete(f"/v1/api-keys/{made['revoked']['id']}").status_code == 204
        url = hostile_world.platform.url
        quant = stack.enter_context(httpx.Client(base_url=url, headers={"X-API-Key": keys["quant A"]}))
        request = quant.post("/v1/access-requests", json={"dataset": "BTC", "frequencies": ["1h"]}).json()
        decided = ops.post(f"/v1/access-requests/{request['id']}/decisions", json={"outcome": "approve"}).json()
        told = until(lambda: quant.get("/v1/notifications").json()["data"], "the notification")
        webhook = quant.post("/v1/webhooks", json={"url": "https://receiver.example"}).json()
        expired = {"X-API-Key": keys["expired"]}
        until(lambda: httpx.get(f"{url}/v1/me", headers=expired).status_code == 401, "the end of a key")
        ids = {
            "access-requests": request["id"],
            "grants": decided["items"][0]["grant"],
            "notifications": told[0]["id"],
            "webhooks": webhook["id"],
            "accounts": made["quant A"]["account"],
            "api-keys": made["quant A"]["id"],
        }
        until(lambda: _settled(hostile_world), "the outbox's end")
        yield Cast(hostile_world, keys, ids)


def _settled(world: World) -> bool:
    counts = _counts(world)
    with world.person("ops") as ops:
        ops.get("/v1/notifications")
    return _counts(world) == counts


def _counts(world: World) -> dict[str, int]:
    query = " union all ".join(f"select '{table}', count(*) from {table}" for table in KEPT)  # noqa: S608
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        return dict(connection.execute(query.encode()).fetchall())


def _cell(operation: Operation, credential: str) -> str:
    """What the table says."""
    row = TABLE[operation.name]
    if credential in GOOD:
        return row[GOOD.index(credential)]
    return OPEN if row is EVERYBODY else "missing-key" if credential == "no key" else "invalid-key"


def _is_done(operation: Operation, credential: str) -> bool:
    """Reads are done, and the writes of those who are to find nothing; others would have effects."""
    harmless = operation.method == "GET" or operation.name in EFFECTLESS
    return harmless or _cell(operation, credential) == NOT_FOUND


def _call(cast: Cast, operation: Operation, credential: str) -> httpx.Response:
    """What is not done is stopped by a parameter that none takes, just behind the check of key and role."""
    kind = operation.path.split("/")[2]
    values = {"id": cast.ids[kind]} if "{id}" in operation.path else {}
    query = FREQUENCY.get(operation.path, "") if _is_done(operation, credential) else "?surprise=1"
    headers = {} if credential == "no key" else {"X-API-Key": cast.keys[credential]}
    url = cast.world.platform.url + operation.url(**values) + query
    body = operation.body if operation.method != "GET" else None
    with httpx.stream(operation.method, url, headers=headers, json=body, timeout=10) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):  # that one has no end
            answer.read()
    return answer


def _meant(operation: Operation, credential: str) -> tuple[int, str | None]:
    """The status and code of a cell."""
    cell = _cell(operation, credential)
    if cell in (OPEN, ADMITTED):
        return (200, None) if _is_done(operation, credential) else (422, "invalid-input")
    if cell == NOT_FOUND:
        return 404, f"{operation.path.split('/')[2].removesuffix('s')}-not-found".replace("access-", "")
    return (403 if cell in (ROLE, NONE) else 401), cell


def test_k1_every_operation_has_a_row(hostile_world: World) -> None:
    paths = httpx.get(f"{hostile_world.platform.url}/openapi.json").json()["paths"]
    offered = {(method.upper(), path) for path, item in paths.items() for method in METHODS & set(item)}
    assert set(TABLE) == offered == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_k1_every_credential_gets_what_the_table_says_and_nothing_else_changes(
    cast: Cast, operation: Operation
) -> None:
    before, wrong = _counts(cast.world), []
    for credential in CREDENTIALS:
        answer = _call(cast, operation, credential)
        said = (answer.status_code, answer.json().get("code") if answer.status_code != 200 else None)
        if said != _meant(operation, credential):
            wrong.append(f"{credential}: {said}, not {_meant(operation, credential)}")
        if answer.status_code == 401 and answer.headers.get("www-authenticate") != "ApiKey":
            wrong.append(f"{credential}: a 401 without WWW-Authenticate")
    assert not wrong, "\n".join(wrong)
    after = _counts(cast.world)
    read = operation.name in EFFECTLESS  # quant A's own, which is meant to be kept
    assert {name: n - before[name] for name, n in after.items() if n != before[name]} == (
        {"entitlements.notification_reads": 1} if read else {}
    )
