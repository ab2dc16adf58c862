"""The refusals in the OpenAPI document: which operation may answer which, with an example of each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.routes import Route
from shared.errors import MEDIA_TYPE

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457). `code` is stable; further members depend on it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "additionalProperties": True,
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:tickgate:problem:role-not-allowed"]},
        "title": {"type": "string", "examples": ["Role not allowed"]},
        "status": {"type": "integer", "examples": [403]},
        "detail": {"type": "string", "description": "What to do.", "examples": ["The key's role may not do this."]},
        "instance": {"type": "string", "description": "The path of the request.", "examples": ["/v1/grants"]},
        "code": {"type": "string", "description": "A stable slug.", "examples": ["role-not-allowed"]},
        "request_id": {
            "type": ["string", "null"],
            "description": "Finds the request in the vendor's logs.",
            "examples": ["5f0c6f0e6a3b4e0c9d1f2a3b4c5d6e7f"],
        },
        "errors": {
            "type": "array",
            "description": "On 422: what is wrong where.",
            "items": {"$ref": "#/components/schemas/ProblemField"},
        },
    },
}
PROBLEM_FIELD: dict[str, Any] = {
    "title": "ProblemField",
    "description": "One thing that is wrong with a request.",
    "type": "object",
    "required": ["in", "pointer", "message"],
    "properties": {
        "in": {"type": "string", "description": "body, query, path or header.", "examples": ["query"]},
        "pointer": {"type": "string", "description": "A JSON Pointer into that part.", "examples": ["/limit"]},
        "message": {"type": "string", "examples": ["Input should be less than or equal to 500"]},
    },
}
DENIALS = {
    "never-requested": "nobody asked for it, or the request was withdrawn",
    "pending": "Ops is still to decide",
    "needs-info": "Ops asked something about the request",
    "refused": "`reason` says why, `reapply_after` from when on it may be asked for again",
    "lapsed": "nobody decided the request in time",
    "scheduled": "access begins at `starts_at`",
    "ended": "access ended at `ended_at`",
    "trial-ended": "the trial ended at `ended_at`",
    "revoked": "Ops revoked it at `ended_at`; `reason` says why",
    "relinquished": "the account gave it back",
    "blocked": "the account is blocked",
}
ID = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"


def _or_null(type_: str, description: str, example: str | None, **more: Any) -> dict[str, Any]:
    return {"type": [type_, "null"], **more, "description": description, "examples": [example]}


DENIED: dict[str, Any] = {
    "title": "Denied",
    "description": (
        "Why the account may not read this, and what it can do. `code` is one of: "
        + "; ".join(f"`{code}`: {meaning}" for code, meaning in DENIALS.items())
        + ". An undecided request says more than what was before it; else the latest fact counts."
    ),
    "allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {
            "type": "object",
            "required": ["dataset", "frequency", "granted_frequencies", "request", "reason", "ended_at", "remedy"],
            "properties": {
                "code": {"type": "string", "enum": list(DENIALS), "examples": ["never-requested"]},
                "dataset": {"type": "string", "examples": ["BTC"]},
                "frequency": _or_null("string", "Null where any of the dataset's would do.", "1h"),
                "granted_frequencies": {
                    "type": "array",
                    "description": "What the account may read of the dataset now.",
                    "items": {"type": "string"},
                    "examples": [["1d"]],
                },
                "request": _or_null("string", "The request in question.", None, format="uuid"),
                "reason": _or_null("string", "What Ops said.", None),
                "starts_at": _or_null("string", "When access begins.", None, format="date-time"),
                "ended_at": _or_null("string", "When access ended.", None, format="date-time"),
                "reapply_after": _or_null("string", "No request before this instant.", None, format="date-time"),
                "remedy": {"anyOf": [{"$ref": "#/components/schemas/Remedy"}, {"type": "null"}]},
            },
        },
    ],
}
REMEDY: dict[str, Any] = {
    "title": "Remedy",
    "description": "The call that helps, to be sent as it stands; null where only waiting, or Ops, helps.",
    "type": "object",
    "required": ["method", "href", "body"],
    "properties": {
        "method": {"type": "string", "examples": ["POST"]},
        "href": {"type": "string", "examples": ["/v1/access-requests"]},
        "body": {
            "type": "object",
            "description": "What that call takes.",
            "additionalProperties": True,
            "examples": [{"dataset": "BTC", "frequencies": ["1h"]}],
        },
    },
}
SCHEMAS = {"Problem": PROBLEM, "ProblemField": PROBLEM_FIELD, "Denied": DENIED, "Remedy": REMEDY}


@dataclass(frozen=True)
class Refusal:
    """One way to be refused, as an example shows it; `at` is the part and the JSON Pointer that it is about."""

    status: int
    code: str
    detail: str
    members: dict[str, Any] = field(default_factory=dict)
    at: tuple[str, str] | None = None

    def problem(self, instance: str) -> dict[str, Any]:
        """The body of the answer."""
        place = dict(zip(("in", "pointer"), self.at or (), strict=False))
        return {
            "type": f"urn:tickgate:problem:{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": "5f0c6f0e6a3b4e0c9d1f2a3b4c5d6e7f",
            **({"errors": [{**place, "message": self.detail}]} if place else {}),
            **self.members,
        }


# what any operation answers, alike
REUSED: dict[str, tuple[str, str, tuple[Refusal, ...]]] = {
    "400": (
        "BadRequest",
        "The cursor is not one that this list gave out.",
        (Refusal(400, "invalid-cursor", "The cursor is not one that this list gave out; start again without it."),),
    ),
    "401": (
        "Unauthorized",
        "The key is missing, or not valid (any more).",
        (
            Refusal(401, "missing-key", "This call needs an API key, in the header X-API-Key."),
            Refusal(401, "invalid-key", "The API key is not valid; ask an admin for a new one if it ever was."),
        ),
    ),
    "405": (
        "MethodNotAllowed",
        "Any other method at this address; `Allow` names those it takes.",
        (Refusal(405, "method-not-allowed", "This address does not take this method; `Allow` names those it takes."),),
    ),
    "413": (
        "TooLarge",
        "The body is larger than 64 KiB.",
        (Refusal(413, "body-too-large", "The body is larger than 64 KiB; nothing of it was looked at."),),
    ),
    "415": (
        "UnsupportedMediaType",
        "The body is not `application/json` in UTF-8.",
        (Refusal(415, "unsupported-media-type", "The body has to be `application/json`, in UTF-8."),),
    ),
    "429": (
        "TooManyRequests",
        "The key or the address has made more requests than the limit allows.",
        (
            Refusal(
                429,
                "too-many-requests",
                "More requests than the limit allows; `Retry-After` says in how many seconds there is room again.",
            ),
        ),
    ),
    "503": (
        "Unavailable",
        "A part that the answer needs is out of reach; nothing was changed.",
        (
            Refusal(
                503,
                "temporarily-unavailable",
                "A part that this answer needs is out of reach or too busy. Nothing was changed; try again shortly.",
            ),
        ),
    ),
}
# what each operation answers in its own way
TEXTS = {
    "403": "The key's role may not do this, or nobody may for their own account.",
    "404": "There is no such thing, or it is not the caller's.",
    "406": "No format that `Accept` takes is one that there is.",
    "409": "The state of the thing does not allow this (any more).",
    "410": "The frequency is not offered any more.",
    "422": "The request does not fit the operation; `errors` says where.",
    "429": "Too much at once; `Retry-After` says when to try again.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"description": "ApiKey.", "schema": {"type": "string", "examples": ["ApiKey"]}}},
    "405": {"Allow": {"description": "The methods.", "schema": {"type": "string", "examples": ["GET, HEAD"]}}},
    "429": {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["17"]}},
        "RateLimit": {
            "description": "Requests left, and for how many seconds; on every answer that was counted.",
            "schema": {"type": "string", "examples": ['"key";r=0;t=17']},
        },
        "RateLimit-Policy": {
            "description": "The limit: so many requests in so many seconds.",
            "schema": {"type": "string", "examples": ['"key";q=300000;w=60']},
        },
    },
    "503": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["1"]}}},
}
NO_DATASET = "There is no dataset with this symbol; GET /v1/datasets lists them."
NO_ACCOUNT = "There is no account with this id; GET /v1/accounts lists them."
DATASET = Refusal(404, "dataset-not-found", NO_DATASET)
REQUEST = Refusal(404, "request-not-found", "There is no such request of yours; GET /v1/access-requests lists them.")
GRANT = Refusal(404, "grant-not-found", "You hold no grant with this id; GET /v1/grants lists yours.")
API_KEY = Refusal(404, "api-key-not-found", "There is no API key with this id; GET /v1/api-keys lists them.")
WEBHOOK = Refusal(404, "webhook-not-found", "You have no webhook with this id; GET /v1/webhooks lists yours.")
OWN = Refusal(
    403, "self-decision", "Nobody decides for their own account, whatever the role; ask another member of Ops."
)
GRANT_CLOSED = Refusal(
    409,
    "grant-closed",
    "The grant is over already; `grant_status` and `closed_at` say how and when. There is nothing left to change.",
    {"grant_status": "ended", "closed_at": "2026-01-31T20:00:00Z"},
)
ACCOUNT = Refusal(404, "account-not-found", NO_ACCOUNT)
ACCOUNT_CLOSED = Refusal(
    409, "account-closed", "The account is closed, and that is final; make a new one with POST /v1/api-keys."
)
CELL_HELD = Refusal(
    409,
    "cell-held",
    "The account holds a grant on this frequency: nothing later stands beside one that runs or follows its planned "
    "revocation or retirement, no trial follows what is standard.",
    {"grant": ID},
)
NAMED_ACCOUNT = Refusal(
    422,
    "account-not-found",
    "There is no account with the id that the body names; GET /v1/accounts lists them.",
    at=("body", "/account"),
)
NAMED_DATASET = Refusal(
    422,
    "dataset-not-found",
    "There is no dataset with the symbol that the body names; GET /v1/datasets lists them.",
    at=("body", "/dataset"),
)
NAMED_FREQUENCY = Refusal(
    422,
    "frequency-not-offered",
    "The dataset is not offered at a frequency that the body names; `offered` lists those it is offered at.",
    {"offered": ["1d"]},
    at=("body", "/frequencies"),
)
UNDECIDABLE = "What this is about is not open any more; `items` says what became of it and when."
REPEATS = (  # of every POST
    Refusal(
        409,
        "still-running",
        "The first request under this `Idempotency-Key` is still being answered; repeat it in a moment.",
    ),
    Refusal(
        422,
        "idempotency-key-reused",
        "Another request was made under this `Idempotency-Key` within a day; what is not a repeat needs a new one.",
        at=("header", "/Idempotency-Key"),
    ),
)
DECIDED = {"frequency": "1h", "status": "approved", "decided_at": "2026-01-31T20:00:00Z", "decided_by": ID}
FATE = {name: DECIDED[name] for name in ("frequency", "status", "decided_at")}
ALREADY_DECIDED = Refusal(409, "already-decided", UNDECIDABLE, {"items": [DECIDED]})
BLOCKED = Refusal(
    409,
    "account-blocked",
    "The account is blocked or closed, so nothing can be given to it; `standing` says which.",
    {"standing": "blocked"},
)
NOT_ASKED_FOR = Refusal(
    422,
    "not-in-request",
    "The request does not ask for a frequency that the body names; `requested` lists what it asks for.",
    {"requested": ["1h"]},
    at=("body", "/frequencies"),
)
HELD = {"frequency": "1h", "why": "already-granted", "grant": ID, "ends_at": "2027-01-31T20:00:00Z"}
NOTHING: dict[str, Any] = {
    "dataset": "BTC",
    "frequency": "1h",
    "granted_frequencies": ["1d"],
    "request": None,
    "reason": None,
    "starts_at": None,
    "ended_at": None,
    "reapply_after": None,
    "remedy": None,
}
ASK = {"method": "POST", "href": "/v1/access-requests", "body": {"dataset": "BTC", "frequencies": ["1h"]}}
DENIED_READS = (
    Refusal(
        403,
        "never-requested",
        "You have not asked for this yet; POST /v1/access-requests asks for it.",
        {**NOTHING, "remedy": ASK},
    ),
    Refusal(
        403,
        "refused",
        "Your request was refused; `reason` says why, `reapply_after` when you may ask again.",
        {**NOTHING, "request": ID, "reason": "No licence yet.", "reapply_after": "2026-02-01T20:00:00Z"},
    ),
    Refusal(
        403,
        "revoked",
        "Your access was revoked; `reason` says why. You may ask again.",
        {**NOTHING, "reason": "The licence ended.", "ended_at": "2026-01-31T20:00:00Z", "remedy": ASK},
    ),
    Refusal(
        403,
        "scheduled",
        "Your access begins later; `starts_at` says when.",
        {**NOTHING, "request": ID, "starts_at": "2026-03-01T00:00:00Z"},
    ),
)
ANY_DENIED = Refusal(
    403,
    "never-requested",
    "You have not asked for this yet; POST /v1/access-requests asks for it.",
    {**NOTHING, "frequency": None, "granted_frequencies": []},
)
RETIRED = {"retired_at": "2026-01-31T00:00:00Z"}
ASKING = (
    Refusal(
        409,
        "nothing-to-request",
        "Every frequency asked for is already granted or pending; `skipped` says which and by what.",
        {"skipped": [HELD]},
    ),
    Refusal(
        409,
        "cooldown",
        "A frequency asked for was refused a short while ago; ask again from `reapply_after` on.",
        {"frequency": "1h", "reapply_after": "2026-02-01T20:00:00Z"},
    ),
    NAMED_DATASET,
    NAMED_FREQUENCY,
    Refusal(
        429,
        "too-many-open",
        "Too many of your items are still undecided; wait for decisions before you ask for more.",
        {"limit": 50},
    ),
)
VERSION_GONE = Refusal(
    410,
    "version-gone",
    "The series was replaced since: what it was before is gone; ask without the cursor, and for no instant before.",
)
NOT_ACCEPTABLE = Refusal(
    406,
    "not-acceptable",
    "No format that `Accept` takes is one that there is; `formats` lists those.",
    {"formats": ["application/json", "text/csv"]},
)
OWN_REFUSALS: dict[str, tuple[Refusal, ...]] = {
    "addDataset": (
        Refusal(
            409,
            "dataset-exists",
            "A dataset with this symbol exists already; PATCH it to rename it or to add frequencies.",
        ),
    ),
    "getDataset": (DATASET,),
    "changeDataset": (DATASET,),
    "retireFrequency": (
        DATASET,
        Refusal(
            404,
            "frequency-not-found",
            "The dataset was never offered at this frequency; GET /v1/datasets/{symbol} lists its frequencies.",
        ),
        Refusal(410, "retired", "The frequency is retired already; `retired_at` says since when.", RETIRED),
    ),
    "getCoverage": (DATASET,),
    "listPrices": (
        *DENIED_READS,
        DATASET,
        NOT_ACCEPTABLE,
        Refusal(
            409,
            "digits-do-not-fit",
            "A price here has more digits than 20 before or 18 after the point, "
            "which this format cannot hold; take csv.",
        ),
        Refusal(410, "retired", "The frequency was retired; `retired_at` says when.", RETIRED),
        VERSION_GONE,
        Refusal(
            422,
            "frequency-not-offered",
            "The dataset is not offered at this frequency; `frequencies` lists those that are.",
            {"dataset": "BTC", "frequencies": ["1d"]},
            at=("query", "/frequency"),
        ),
        Refusal(
            422,
            "range-too-large",
            "More bars could start in this range than one read gives; read it in the `chunks`, one after the other.",
            {"chunks": [{"start": "1910-01-01T00:00:00Z", "end": "2410-01-01T00:00:00Z"}]},
            at=("query", "/end"),
        ),
    ),
    "listMarketCaps": (ANY_DENIED, DATASET, NOT_ACCEPTABLE, VERSION_GONE),
    "createAccessRequest": ASKING,
    "previewAccessRequest": ASKING,
    "getAccessRequest": (REQUEST,),
    "decideAccessRequest": (
        OWN,
        REQUEST,
        ALREADY_DECIDED,
        CELL_HELD,
        BLOCKED,
        Refusal(
            422,
            "not-in-request",
            "The request does not ask for a frequency that the decision names; `requested` lists what it asks for.",
            {"requested": ["1h"]},
            at=("body", "/decisions"),
        ),
    ),
    "getRules": (
        Refusal(404, "rules-version-not-found", "The rules never had this version; GET /v1/rules lists their history."),
    ),
    "replaceRules": (
        Refusal(
            409,
            "rules-changed",
            "The rules are at another version than the one to be replaced; `version` says at which. Look at it first.",
            {"version": 2},
        ),
    ),
    "askAboutAccessRequest": (OWN, REQUEST, ALREADY_DECIDED, NOT_ASKED_FOR),
    "answerQuestion": (
        REQUEST,
        Refusal(
            409,
            "nothing-to-answer",
            "Nothing in this request waits for an answer; `items` says how each of its frequencies stands.",
            {"items": [{"frequency": "1h", "status": "pending", "decided_at": None}]},
        ),
    ),
    "withdrawAccessRequest": (
        REQUEST,
        Refusal(
            409,
            "nothing-to-withdraw",
            "Nothing in this request is undecided any more; `items` says what became of each frequency and when.",
            {"items": [FATE]},
        ),
        Refusal(409, "already-decided", UNDECIDABLE, {"items": [FATE]}),
        NOT_ASKED_FOR,
    ),
    "giveGrants": (OWN, CELL_HELD, BLOCKED, NAMED_ACCOUNT, NAMED_DATASET, NAMED_FREQUENCY),
    "getGrant": (GRANT,),
    "revokeGrant": (OWN, GRANT, GRANT_CLOSED),
    "keepGrant": (OWN, GRANT, GRANT_CLOSED),
    "extendGrant": (OWN, GRANT, GRANT_CLOSED, CELL_HELD, BLOCKED),
    "relinquishGrant": (GRANT, GRANT_CLOSED),
    "blockAccount": (OWN, ACCOUNT, ACCOUNT_CLOSED),
    "unblockAccount": (OWN, ACCOUNT, ACCOUNT_CLOSED),
    "closeAccount": (OWN, ACCOUNT),
    "getAccount": (ACCOUNT,),
    "streamNotifications": (
        Refusal(429, "too-many-streams", "The key has five streams open already; close one first."),
    ),
    "readNotification": (Refusal(404, "notification-not-found", "Your inbox holds no notification with this id."),),
    "addWebhook": (Refusal(409, "too-many-webhooks", "You have ten webhooks already; delete one first."),),
    "getWebhook": (WEBHOOK,),
    "removeWebhook": (WEBHOOK,),
    "rotateWebhook": (WEBHOOK,),
    "listDeliveries": (WEBHOOK,),
    "replayDelivery": (
        WEBHOOK,
        Refusal(
            404,
            "delivery-not-found",
            "The webhook has no delivery with this id; GET /v1/webhooks/{id}/deliveries lists them.",
        ),
        Refusal(
            409,
            "webhook-disabled",
            "The webhook was disabled; `disabled_reason` says why. Make a new one for a receiver that answers again.",
            {"disabled_reason": "gone"},
        ),
    ),
    "runJob": (
        Refusal(
            404,
            "job-not-found",
            "There is no job with this name; `jobs` lists them.",
            {"jobs": ["sync-prices", "backfill-market-caps"]},
        ),
    ),
    "addApiKey": (
        Refusal(
            409,
            "name-taken",
            "An account with this name exists already; send its `account` to make another key of it.",
        ),
        Refusal(422, "account-not-found", NO_ACCOUNT, at=("body", "/account")),
    ),
    "getApiKey": (API_KEY,),
    "rotateApiKey": (
        API_KEY,
        Refusal(
            409,
            "already-rotated",
            "This key was rotated already; `successor` is the id of the key that took its place.",
            {"successor": "4fK2mZq81x"},
        ),
        Refusal(
            409,
            "key-not-usable",
            "This key is revoked or expired, so nothing can take its place; make a new one with POST /v1/api-keys.",
        ),
    ),
    "revokeApiKey": (
        API_KEY,
        Refusal(
            409,
            "last-admin",
            "No other admin key would last; make another one, or rotate this one, before revoking it.",
        ),
    ),
}
INVALID = "The request does not fit the operation; `errors` says where and why."
UNKNOWN_FIELD = {"in": "body", "pointer": "/surprise", "message": "Extra inputs are not permitted"}


def responses() -> dict[str, Any]:
    """The reusable answers, by name."""
    return {name: _response(status, text, examples, "/v1/grants") for status, (name, text, examples) in REUSED.items()}


def refusals_of(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    """The answers that fit an operation, by status: references to the reusable ones, and its own with its codes."""
    parameters = operation.get("parameters", ())
    fitting = {
        "400": any(parameter["name"] == "cursor" for parameter in parameters),
        "401": not route.is_open,
        "405": True,
        "413": route.method != "GET",
        "415": route.method != "GET",
        "429": True,
        "503": True,
    }
    reused = {
        status: {"$ref": f"#/components/responses/{REUSED[status][0]}"} for status, fits in fitting.items() if fits
    }
    return {**reused, **_own(route, operation)}


def _own(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    instance = route.path
    for parameter in operation.get("parameters", ()):
        instance = instance.replace(f"{{{parameter['name']}}}", str(parameter.get("example", "x")))
    by_status: dict[str, list[Refusal]] = {}
    for refusal in _every(route, operation):
        by_status.setdefault(str(refusal.status), []).append(refusal)
    return {status: _response(status, TEXTS[status], found, instance) for status, found in by_status.items()}


def _every(route: Route, operation: dict[str, Any]) -> Iterable[Refusal]:
    known = OWN_REFUSALS.get(operation["operationId"], ())
    yield from known
    if route.method == "POST":
        yield from REPEATS
    if "{" in route.path and not any(refusal.status == 404 for refusal in known):
        yield Refusal(404, "not-found", "There is nothing at this address.")
    if not route.is_open:
        detail = "The key's role may not do this; `roles` names those that may."
        yield Refusal(403, "role-not-allowed", detail, {"roles": list(route.roles)})
    yield Refusal(422, "invalid-input", INVALID, {"errors": [_misfit(operation)]})


def _misfit(operation: dict[str, Any]) -> dict[str, str]:
    """One thing that may well be wrong with a request to this operation."""
    if "requestBody" in operation:
        return UNKNOWN_FIELD
    names = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    message = f"unknown; taken are: {', '.join(names) or 'none'}"
    return {"in": "query", "pointer": "/surprise", "message": message}


def _response(status: str, text: str, examples: Iterable[Refusal], instance: str) -> dict[str, Any]:
    refusals = tuple(examples)
    denied = any("remedy" in refusal.members for refusal in refusals)
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {
        "schema": {"anyOf": [{"$ref": "#/components/schemas/Denied"}, schema]} if denied else schema,
        "examples": {refusal.code: {"value": refusal.problem(instance)} for refusal in refusals},
    }
    text = "No access to this: `code` says why, `remedy` what to do. Or the key's role may not." if denied else text
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": text, **headers, "content": {MEDIA_TYPE: content}}
