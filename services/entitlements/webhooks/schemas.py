"""Webhooks on the wire."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field

from shared.wire import Input, Output, Query

NAME = r"(?:[A-Za-z0-9_-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{0,62}\.?"  # what ends in a number is an address
BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"


def target(scheme: str, host: str) -> str:
    """The pattern of a URL without user, password or fragment; its first group is the host."""
    return rf'^{scheme}://({host}|\[[0-9A-Fa-f:.]+\])(?::{PORT})?(?:[/?][!"$-~]*)?$'


TARGET = target("[Hh][Tt][Tt][Pp][Ss]", rf"{NAME}|{BYTE}(?:\.{BYTE}){{3}}")
Url = Annotated[str, Field(max_length=2000, json_schema_extra={"pattern": TARGET})]


class NewWebhook(Input):
    """Where to tell."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": "https://example.com/tickgate"}]})

    url: Url = Field(description="https, on the open internet.", examples=["https://example.com/tickgate"])


class WebhooksQuery(Query):
    """Whose webhooks."""

    account: UUID | None = Field(default=None, description="Ops only; a Quant sees their own.")


Data = TypeVar("Data", bound=Output)


class Message(Output, Generic[Data]):
    """What a webhook is sent, and what an inbox holds under the same type."""

    type: str = Field(examples=["access.decided"])
    timestamp: datetime = Field(description="When it happened.")
    data: Data = Field(description="What it is about; depends on `type`, and may get more members.")


class WebhookOut(Output):
    """A URL at which the account is told."""

    id: UUID
    url: str = Field(examples=["https://example.com/tickgate"])
    created_at: datetime
    state: Literal["active", "disabled"]
    disabled_at: datetime | None
    disabled_reason: Literal["gone", "failing", "closed", "no-key"] | None = Field(
        description="`gone`: it answered 410; `failing`: it did nothing but fail for five days; `closed`: the account "
        "was closed; `no-key`: it is one of Ops', and the account has no usable key."
    )


class NewWebhookOut(WebhookOut):
    """A webhook with its secret, shown this once."""

    secret: str | None = Field(
        description="Verifies signatures, as Standard Webhooks 1.0 says. Null in a replayed answer: rotate it then.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )
    old_secret_until: datetime | None = Field(description="Until then, messages are signed with the old one too.")


class WebhookList(Output):
    """The account's webhooks, oldest first."""

    data: list[WebhookOut]
    next_cursor: str | None = None


class Attempt(Output):
    """One attempt to deliver."""

    at: datetime
    status: int | None = Field(description="What the receiver answered.", examples=[200])
    error: str | None = Field(
        description="timeout, connection-failed, protocol-error, no-such-host, target-refused or, by a fault of ours, "
        "not-signed, or given-up: nothing is tried any more until you replay it.",
        examples=[None],
    )
    milliseconds: int


class DeliveryOut(Output):
    """One event on its way to one webhook."""

    id: UUID = Field(description="Also the header `webhook-id`.")
    event: UUID
    type: str = Field(examples=["access.decided"])
    created_at: datetime
    state: Literal["pending", "delivered", "failed"]
    next_attempt_at: datetime | None
    attempts: list[Attempt]


class DeliveryList(Output):
    """A page of what was sent, the latest first."""

    data: list[DeliveryOut]
    next_cursor: str | None = None
