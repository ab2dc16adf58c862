"""Webhooks over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response

from services.entitlements.webhooks.events import AT, TOLD
from services.entitlements.webhooks.providers import Webhooks
from services.entitlements.webhooks.schemas import (
    DeliveryList,
    DeliveryOut,
    Message,
    NewWebhook,
    NewWebhookOut,
    WebhookList,
    WebhookOut,
    WebhooksQuery,
)
from shared.pagination import Page, cursors_of, cut, link_next

router = APIRouter(prefix="/v1/webhooks", tags=["Webhooks"])
PATH = "/v1/webhooks"
SIGNED = """\
{when}

Headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, by Standard Webhooks 1.0: check them with its
libraries. The id stays the same however often a message is sent: act once on each. Any 2xx within 15 seconds takes it.
"""


def describe_messages() -> APIRouter:
    """What is sent to webhooks, for OpenAPI: nothing is served here."""
    described = APIRouter(tags=["Webhooks"])
    for type_, telling in TOLD.items():
        example = {"value": {"type": type_, "timestamp": AT, "data": telling.data}}
        carried: Any = telling.carries
        body = Annotated[Message[carried], Body(openapi_examples={type_: example})]
        described.add_api_route(
            type_,
            _receiver(body),
            methods=["POST"],
            status_code=204,
            operation_id=f"told.{type_}",
            summary=telling.when,
            description=SIGNED.format(when=telling.when),
        )
    return described


def _receiver(body: object) -> Callable[..., None]:
    def message(body: Any) -> None:
        """The receiver's own."""

    message.__annotations__["body"] = body
    return message


messages = describe_messages()


@router.post("", status_code=201, summary="Be told at a URL", operation_id="addWebhook")
def add_webhook(new: NewWebhook, webhooks: Webhooks, response: Response) -> NewWebhookOut:
    """Every notification of yours is posted there from now on, signed as Standard Webhooks 1.0 says.

    The secret is shown this once. What the receiver does not take with a 2xx within 15 seconds is tried again after
    5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, each give or take a fifth; `Retry-After` is honoured, redirects are
    not followed. A receiver that answers 410, or does nothing but fail for five days, is told no more, nor is one whose
    account is closed. Ops' webhooks are also told what all of Ops is, as long as a key of the account is usable; and
    all of Ops is told that there is a new one.
    """
    added = webhooks.add(new.url)
    response.headers["Location"] = f"{PATH}/{added.id}"
    return added


@router.get("", summary="List webhooks", operation_id="listWebhooks")
def list_webhooks(webhooks: Webhooks, query: Annotated[WebhooksQuery, Query()]) -> WebhookList:
    """Your webhooks, oldest first; there are at most ten. Ops sees another account's by `account`."""
    return WebhookList(data=webhooks.list(query.account))


@router.get("/{id}", summary="Show a webhook", operation_id="getWebhook")
def get_webhook(id: UUID, webhooks: Webhooks) -> WebhookOut:  # noqa: A002
    """One of your webhooks; Ops sees anybody's."""
    return webhooks.find(id)


@router.delete("/{id}", status_code=204, summary="Be told there no more", operation_id="removeWebhook")
def remove_webhook(id: UUID, webhooks: Webhooks) -> None:  # noqa: A002
    """Deletes the webhook and the log of what was sent to it; Ops may delete anybody's."""
    webhooks.remove(id)


@router.post("/{id}/rotate", status_code=201, summary="Change a webhook's secret", operation_id="rotateWebhook")
def rotate_webhook(id: UUID, webhooks: Webhooks, response: Response) -> NewWebhookOut:  # noqa: A002
    """Makes a new secret, shown this once. For a day each message carries a signature under the old one too.

    So it does after further rotations, under each of the day, the latest ten in all.
    """
    response.headers["Location"] = f"{PATH}/{id}"
    return webhooks.rotate(id)


@router.get("/{id}/deliveries", summary="See what was sent to a webhook", operation_id="listDeliveries")
def list_deliveries(
    id: UUID,  # noqa: A002
    webhooks: Webhooks,
    query: Annotated[Page, Query()],
    request: Request,
    response: Response,
) -> DeliveryList:
    """Every delivery of the last 30 days with its attempts, the latest first.

    An attempt in which our side died is not among them; it is made again, under the same `webhook-id`.
    """
    cursors, scope = cursors_of(request), f"deliveries:{id}"
    before = UUID(cursors.load(scope, query.cursor)) if query.cursor else None
    rows, more = cut(webhooks.deliveries(id, before=before, limit=query.limit + 1), query.limit)
    cursor = cursors.dump(scope, rows[-1].id) if more else None
    link_next(request, response, cursor)
    return DeliveryList(data=list(rows), next_cursor=cursor)


@router.post("/{id}/deliveries/{delivery}/replay", summary="Send it again", operation_id="replayDelivery")
def replay_delivery(id: UUID, delivery: UUID, webhooks: Webhooks) -> DeliveryOut:  # noqa: A002
    """Tries again at once, and then as if it were new, whatever became of it; `webhook-id` stays the same."""
    return webhooks.replay(id, delivery)
