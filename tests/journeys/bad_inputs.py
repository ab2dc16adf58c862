"""What is sent to every public operation that no operation may take: made from one row per operation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

MARK = "zqEchozq"
LARGEST = 64 * 1024
JSON = "application/json"
SOME = str(uuid4())
Body = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """A public operation: who may call it, values that fit its path, a body that it would take, what it must hold."""

    method: str
    path: str
    role: str = "anyone"
    values: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    required: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """How OpenAPI finds it."""
        return self.method, self.path

    def url(self, **values: str) -> str:
        """Its path with these values, else with ones that fit."""
        return self.path.format(**{**dict(self.values), **values})


@dataclass(frozen=True)
class BadInput:
    """A request that has to be refused, and with which status; 0 stands for any 4xx."""

    what: str
    status: int
    url: str
    role: str
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


ID = (("id", SOME),)
SYMBOL = (("symbol", "BTC"),)
REASON = {"reason": "Only a test."}
REQUEST: Body = {"dataset": "BTC", "frequencies": ["1h"], "reason": "Only a test.", "duration_days": 30}
REFUSAL: Body = {"outcome": "refuse", "reason": "Only a test.", "note": "Only a test."}
TEXT: Body = {"text": "Only a test."}
DECISIONS: Body = {
    "decisions": [{"request": SOME, "frequency": "1h", "outcome": "approve"}],
    "note": "Only a test.",
}
GRANT: Body = {"account": SOME, "dataset": "BTC", "frequencies": ["1h"], "reason": "Only a test."}
RULE = {"name": "later", "when": {"trial": True}, "verdict": "refer", "reason": "Only a test.", "reason_code": "later"}
RULES: Body = {"replaces": 1, "note": "Only a test.", "rules": [RULE]}
EXTENSION: Body = {"duration_days": 30, "reason": "Only a test."}
DATASET: Body = {"symbol": "SOL", "name": "Solana", "frequencies": ["1d"]}
WEBHOOK: Body = {"url": "https://receiver.example"}
KEY: Body = {"name": "Only a test", "role": "quant", "expires_at": "2100-01-01"}
OPERATIONS = (
    Operation("GET", "/v1/datasets"),
    Operation("POST", "/v1/datasets", "ops", (), DATASET, ("symbol", "name", "frequencies"), ("name",)),
    Operation("GET", "/v1/datasets/{symbol}", "anyone", SYMBOL),
    Operation("PATCH", "/v1/datasets/{symbol}", "ops", SYMBOL, {"name": "Bitcoin"}, (), ("name",)),
    Operation(
        "DELETE", "/v1/datasets/{symbol}/frequencies/{frequency}", "ops", (("symbol", "NONE"), ("frequency", "1d"))
    ),
    Operation("GET", "/v1/datasets/{symbol}/coverage", "anyone", SYMBOL),
    Operation("GET", "/v1/datasets/{symbol}/prices", "quant", SYMBOL),
    Operation("GET", "/v1/datasets/{symbol}/market-caps", "quant", SYMBOL),
    Operation("POST", "/v1/access-requests", "quant", (), REQUEST, ("dataset", "frequencies"), ("reason",)),
    Operation("POST", "/v1/access-requests/preview", "quant", (), REQUEST, ("dataset", "frequencies"), ("reason",)),
    Operation("GET", "/v1/access-requests", "quant"),
    Operation("GET", "/v1/access-requests/{id}", "quant", ID),
    Operation(
        "POST", "/v1/access-requests/{id}/decisions", "ops", ID, REFUSAL, ("outcome", "reason"), ("reason", "note")
    ),
    Operation("POST", "/v1/access-requests/{id}/withdraw", "quant", ID, {"frequencies": ["1h"]}),
    Operation("POST", "/v1/access-requests/{id}/answer", "quant", ID, TEXT, ("text",), ("text",)),
    Operation("POST", "/v1/access-requests/{id}/question", "ops", ID, TEXT, ("text",), ("text",)),
    Operation("POST", "/v1/decisions", "ops", (), DECISIONS, ("decisions",), ("note",)),
    Operation("GET", "/v1/grants", "quant"),
    Operation("POST", "/v1/grants", "ops", (), GRANT, ("account", "dataset", "frequencies", "reason"), ("reason",)),
    Operation("GET", "/v1/grants/{id}", "quant", ID),
    Operation("POST", "/v1/grants/{id}/revoke", "ops", ID, REASON, ("reason",), ("reason",)),
    Operation("POST", "/v1/grants/{id}/keep", "ops", ID),
    Operation("POST", "/v1/grants/{id}/extend", "ops", ID, EXTENSION, ("duration_days",), ("reason",)),
    Operation("POST", "/v1/grants/{id}/relinquish", "quant", ID),
    Operation("GET", "/v1/notifications", "quant"),
    Operation("GET", "/v1/notifications/stream", "quant"),
    Operation("POST", "/v1/notifications/{id}/read", "quant", ID),
    Operation("GET", "/v1/webhooks", "quant"),
    Operation("POST", "/v1/webhooks", "quant", (), WEBHOOK, ("url",), ("url",)),
    Operation("GET", "/v1/webhooks/{id}", "quant", ID),
    Operation("DELETE", "/v1/webhooks/{id}", "quant", ID),
    Operation("POST", "/v1/webhooks/{id}/rotate", "quant", ID),
    Operation("GET", "/v1/webhooks/{id}/deliveries", "quant", ID),
    Operation("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay", "quant", (*ID, ("delivery", SOME))),
    Operation("GET", "/v1/accounts", "ops"),
    Operation("GET", "/v1/accounts/{id}", "ops", ID),
    Operation("GET", "/v1/rules", "ops"),
    Operation("POST", "/v1/rules/simulate", "ops", (), {"rules": [RULE], "limit": 10}, ("rules",)),
    Operation("PUT", "/v1/rules", "admin", (), RULES, ("replaces", "note", "rules"), ("note",)),
    Operation("POST", "/v1/accounts/{id}/block", "ops", ID, REASON, ("reason",), ("reason",)),
    Operation("POST", "/v1/accounts/{id}/unblock", "ops", ID, REASON, ("reason",), ("reason",)),
    Operation("POST", "/v1/accounts/{id}/close", "ops", ID, REASON, ("reason",), ("reason",)),
    Operation("GET", "/v1/audit-events", "ops"),
    Operation("GET", "/v1/audit-events/verify", "ops"),
    Operation("GET", "/v1/jobs", "ops"),
    Operation("POST", "/v1/jobs/{name}/run", "ops", (("name", "backfill-market-caps"),), {"date": "2026-01-31"}),
    Operation("GET", "/v1/usage", "ops"),
    Operation("GET", "/v1/me", "quant"),
    Operation("GET", "/v1/me/coverage", "quant"),
    Operation("GET", "/v1/api-keys", "admin"),
    Operation("POST", "/v1/api-keys", "admin", (), KEY, ("name", "role"), ("name",)),
    Operation("GET", "/v1/api-keys/{id}", "admin", (("id", "0000000000"),)),
    Operation("DELETE", "/v1/api-keys/{id}", "admin", (("id", "0000000000"),)),
    Operation("POST", "/v1/api-keys/{id}/rotate", "admin", (("id", "0000000000"),), {"overlap_seconds": 60}),
)


def bad_inputs(operation: Operation, parameters: list[dict[str, Any]]) -> Iterator[BadInput]:
    """Every bad input for an operation; `parameters` are those that OpenAPI names for it."""
    yield from _callers(operation)
    yield from _paths(operation, parameters)
    yield from _queries(operation, [p["name"] for p in parameters if p["in"] == "query"])
    if operation.body is not None:
        yield from _texts(operation)
        yield from _bodies(operation, operation.body)
    yield _with_body(operation, "oversize body", 413, json.dumps({"x": MARK * (LARGEST // len(MARK))}).encode())


def _callers(operation: Operation) -> Iterator[BadInput]:
    if operation.role == "anyone":
        return
    yield BadInput("no key", 401, operation.url(), "anyone")
    yield BadInput("wrong key", 401, operation.url(), "anyone", headers={"X-API-Key": f"tg_live_{MARK}_x_y"})
    for role in {"ops": ("quant",), "admin": ("quant", "ops")}.get(operation.role, ()):
        yield BadInput(f"as {role}", 403, operation.url(), role)


def _paths(operation: Operation, parameters: list[dict[str, Any]]) -> Iterator[BadInput]:
    for parameter in parameters:
        if parameter["in"] == "path":
            expected = 422 if parameter["schema"].get("format") == "uuid" else 0
            for value in (MARK, f"{MARK}%00", "%ff%fe", "%ED%A0%80", MARK * 200, "..%2f..%2fetc"):
                url = operation.url(**{parameter["name"]: value})
                yield BadInput(
                    f"{parameter['name']} {value[:20]}", expected if value == MARK else 0, url, operation.role
                )


def _queries(operation: Operation, names: list[str]) -> Iterator[BadInput]:
    yield BadInput("unknown parameter", 422, f"{operation.url()}?surprise={MARK}", operation.role)
    for name in names:
        yield BadInput(f"{name} twice", 422, f"{operation.url()}?{name}=1&{name}=1", operation.role)
        for value in (MARK, f"{MARK}%00", "%ff", "%ED%A0%80", "9" * 30, MARK * 200):
            yield BadInput(f"{name}={value[:20]}", 0, f"{operation.url()}?{name}={value}", operation.role)


def _texts(operation: Operation) -> Iterator[BadInput]:
    """Bodies that are not one JSON object."""
    for content in (
        b"",
        f'{{"{MARK}'.encode(),
        b"[]",
        b"1",
        f'"{MARK}"'.encode(),
        b"\xff\xfe",
        b'{"x":' * 20_000 + b"1",
    ):
        if content or operation.required:
            what = f"body {content[:10]!r}"
            yield _with_body(operation, what, 413 if len(content) > LARGEST else 422, content)
    good = json.dumps(operation.body).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", MARK):
        yield _with_body(operation, f"as {kind}", 415, good, kind)


def _bodies(operation: Operation, good: Body) -> Iterator[BadInput]:
    """Objects that are almost right."""
    for body in ([good], {**good, "surprise": MARK}, {**good, "x": float("nan")}):
        yield _with_body(operation, str(body)[-30:], 422, json.dumps(body).encode())
    for name in operation.required:
        yield _changed(operation, f"without {name}", {key: good[key] for key in good if key != name})
    for name in good:
        wrong = str(good[name]) if isinstance(good[name], int) else True
        for value in (
            wrong,
            {"x": MARK},
            [{"x": MARK}],
            2**70,
            float("nan"),
            float("inf"),
            f"\0{MARK}",
            f"\ud800{MARK}",
        ):
            yield _changed(operation, f"{name}: {str(value)[:12]!r}", {**good, name: value})
    for name in operation.texts:
        for text in (f"{MARK}\0", f"\ud800{MARK}", "", "   ", MARK * 1000):
            yield _changed(operation, f"{name}: {text[:12]!r}", {**good, name: text})
    for name in good:
        twice = json.dumps(good)[:-1] + f", {json.dumps(name)}: {json.dumps(good[name])}}}"
        yield _with_body(operation, f"{name} twice", 422, twice.encode())


def _changed(operation: Operation, what: str, body: Body) -> BadInput:
    return _with_body(operation, what, 422, json.dumps(body).encode())


def _with_body(operation: Operation, what: str, status: int, content: bytes, kind: str = JSON) -> BadInput:
    return BadInput(what, status, operation.url(), operation.role, content, {"Content-Type": kind})
