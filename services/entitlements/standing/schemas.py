"""Why and until when, on the wire."""

from pydantic import ConfigDict, Field

from shared.wire import Input, Instant, Text


class Ruling(Input):
    """Why an account's standing changes; the account is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The invoice was paid."}]})

    reason: Text = Field(examples=["The invoice was paid."])


class Block(Ruling):
    """Why an account is blocked, and up to when."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The invoice is overdue.", "until": "2027-01-31T00:00:00Z"}]}
    )

    until: Instant | None = Field(
        default=None, description="The block is over by itself then; until unblocked, unless said."
    )
