"""A stand-in for entitlements behind the real Neighbour interface: it says yes until it is told otherwise."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

REFUSAL = {
    "status": 403,
    "code": "never-requested",
    "detail": "Nobody asked for this.",
    "members": {"dataset": "BTC", "remedy": {"method": "POST", "href": "/v1/access-requests", "body": {}}},
}

UNKNOWN = dict.fromkeys(("grant", "request", "starts_at", "ends_at", "reason", "reapply_after", "predictions"))


async def may(request: Request) -> JSONResponse:
    """Yes, unless `app.state.refusal` is set, from the question after `app.state.yeses` on; every one is kept."""
    offered = request.query_params.getlist("offered")
    request.app.state.asked.append(dict(request.query_params) | ({"offered": offered} if offered else {}))
    told = len(request.app.state.asked) > request.app.state.yeses
    refusal: dict[str, Any] | None = request.app.state.refusal if told else None
    state = "active" if refusal is None else refusal["code"]
    return JSONResponse(
        {
            "allowed": refusal is None,
            "state": state,
            "grant": None,
            "until": None,
            "grace_until": request.app.state.grace_until,
            "refusal": refusal,
        },
        request.app.state.status,
    )


async def cells(request: Request) -> JSONResponse:
    """What `app.state.cells` says of the cells in question, else that nobody asked for them."""
    question = await request.json()
    request.app.state.asked.append(question)
    known = {(cell["dataset"], cell["frequency"]): cell for cell in request.app.state.cells}
    asked = [(offer["dataset"], frequency) for offer in question["offered"] for frequency in offer["frequencies"]]
    unknown = {**UNKNOWN, "state": "never-requested"}
    told = [known.get(cell, {**unknown, "dataset": cell[0], "frequency": cell[1]}) for cell in asked]
    return JSONResponse(told, request.app.state.status)


async def usage(request: Request) -> Response:
    """Keeps what is reported in `app.state.reported`."""
    if request.app.state.status == 200:
        request.app.state.reported += (await request.json())["data"]
    return Response(status_code=204 if request.app.state.status == 200 else request.app.state.status)


app = Starlette(
    routes=[
        Route("/internal/may", may),
        Route("/internal/cells", cells, methods=["POST"]),
        Route("/internal/usage", usage, methods=["POST"]),
    ]
)


def reset() -> None:
    """Forget all questions and say yes again."""
    app.state.asked, app.state.yeses, app.state.refusal, app.state.status = [], 0, None, 200
    app.state.grace_until = None
    app.state.cells, app.state.reported = [], []


reset()
