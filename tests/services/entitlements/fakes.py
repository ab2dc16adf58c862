"""What surrounds the entitlements: people, a clock that is set by hand, and a small app that is catalog and keys."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.entitlements.requests.source import Offer
from shared.principal import Principal, Role

T0 = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY, MS = timedelta(days=1), timedelta(milliseconds=1)
NOBODY = UUID(int=0)
ACCOUNTS = [UUID(int=number) for number in range(1, 8)]


class SetClock:
    """Tells the time it was set to."""

    def __init__(self, at: datetime = T0) -> None:
        self.at = at

    def now(self, session: Session) -> datetime:  # noqa: ARG002
        """The time it was set to."""
        return self.at


def person(role: Role = "quant", name: str = "Ada") -> Principal:
    """Somebody with an account of their own."""
    return Principal(role=role, name=name, account=uuid4(), key="key")


QUANT, OTHER, OPS, ADMIN = person(), person(name="Ben"), person("ops", "Olga"), person("admin", "Adam")
KEYLESS = person("ops", "Otto")


def offer_of(symbol: str) -> Offer | None:
    """Every symbol is offered at all frequencies, but ETH, daily only, and GONE."""
    frequencies = ["1d"] if symbol == "ETH" else ["1h", "1d", "1mo"]
    return None if symbol == "GONE" else Offer(symbol=symbol, frequencies=frequencies)


async def _dataset(request: Request) -> Response:
    offer = offer_of(request.path_params["symbol"])
    return JSONResponse(offer.model_dump()) if offer else Response(status_code=404)


async def _account(request: Request) -> Response:
    account = UUID(request.path_params["id"])
    return Response(status_code=404) if account == NOBODY else JSONResponse(_known(account))


async def _keys(request: Request) -> Response:
    return JSONResponse({"usable": int(UUID(request.path_params["id"]) != KEYLESS.account)})


async def _accounts(request: Request) -> Response:
    after, limit = UUID(request.query_params.get("after", str(NOBODY))), int(request.query_params["limit"])
    return JSONResponse([_known(account) for account in ACCOUNTS if account > after][:limit])


async def _events(request: Request) -> Response:
    at, subject = T0.isoformat(), request.query_params["subject"]
    return JSONResponse([{"id": 1, "at": at, "actor": "cli", "action": "x", "subject": subject, "data": {}}])


async def _verdict(_request: Request) -> Response:
    return JSONResponse({"ok": True, "events": 1, "unsealed": 0, "head": None, "broken": None})


def _known(account: UUID) -> dict[str, str]:
    return {"id": str(account), "name": f"Account {account.int % 1000}", "role": "quant"}


app = Starlette(
    routes=[
        Route("/internal/datasets/{symbol}", _dataset),
        Route("/internal/audit-events", _events),
        Route("/internal/audit-events/verify", _verdict),
        Route("/internal/accounts", _accounts),
        Route("/internal/accounts/{id}", _account),
        Route("/internal/accounts/{id}/keys", _keys),
    ]
)
