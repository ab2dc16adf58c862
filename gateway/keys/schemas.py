"""Accounts and keys on the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from shared.wire import GIVEN, Input, Instant, Line, Output, Query, absent

Role = Literal["quant", "ops", "admin"]
EXPIRES = Field(default=None, description="Null: never.", examples=["2027-06-30T00:00:00Z"])
ACCOUNT = Field(description="The account's id.", examples=["0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"])
NAME = Field(description="The account's name.", examples=["Ada, research desk"])
ROLE = Field(description="What the account may do.", examples=["quant"])
KEY_ID = Field(description="The key's id: the part of the key between `tg_live_` and the next underscore.")
EITHER: list[JsonValue] = [
    {"required": ["name", "role"], "properties": {"name": GIVEN, "role": GIVEN, **absent("account")}},
    {"required": ["account"], "properties": {"account": GIVEN, **absent("name", "role")}},
]


class NewApiKey(Input):
    """Either `name` and `role`, for a new account and its key, or `account`, for one more key of that account."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": EITHER,
            "examples": [{"name": "Ada, research desk", "role": "quant"}],
        }
    )

    name: Line | None = Field(default=None, description="A new account's name.", examples=["Ada, research desk"])
    role: Role | None = Field(default=None, description="A new account's role.", examples=["quant"])
    account: UUID | None = Field(default=None, description="An account that exists.")
    expires_at: Instant | None = EXPIRES

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        new = self.name is not None and self.role is not None and self.account is None
        further = self.account is not None and self.name is None and self.role is None
        if not (new or further):
            raise ValueError("either name and role, or account")
        return self


class Rotation(Input):
    """How long both keys work."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86_400}]})

    overlap_seconds: int = Field(
        default=86_400,
        ge=0,
        le=604_800,
        strict=True,
        description="For how long the old key still works; 0: it is refused at once.",
        examples=[86_400],
    )


class ApiKeyOut(Output):
    """A key without its secret."""

    id: str = Field(description=str(KEY_ID.description), examples=["4fK2mZq81x"])
    account: UUID = ACCOUNT
    name: str = NAME
    role: Role = ROLE
    created_at: Instant
    expires_at: Instant | None = EXPIRES
    revoked_at: Instant | None = Field(default=None, description="Since when it is refused.", examples=[None])
    last_used_at: Instant | None = Field(default=None, description="To the minute.", examples=["2026-05-04T09:30:00Z"])
    successor: str | None = Field(
        default=None, description="The id of the key that took its place when it was rotated.", examples=[None]
    )


class ApiKeyList(Output):
    """A page of keys, oldest first."""

    data: list[ApiKeyOut]
    next_cursor: str | None = Field(default=None, examples=[None])


class NewApiKeyOut(Output):
    """A new key: the only answer that ever shows it."""

    id: str = Field(description=str(KEY_ID.description), examples=["4fK2mZq81x"])
    account: UUID = ACCOUNT
    name: str = NAME
    role: Role = ROLE
    key: str = Field(
        description="The key itself, shown this once; null when the call is repeated under its Idempotency-Key.",
        repr=False,
        json_schema_extra={"type": ["string", "null"]},
    )
    expires_at: Instant | None = EXPIRES
    created_at: Instant


class KeysHeld(Output):
    """How many keys of an account open the door now."""

    usable: int


class OwnKey(Output):
    """The key a call was made with."""

    id: str = Field(examples=["4fK2mZq81x"])
    expires_at: Instant | None = EXPIRES


class Me(Output):
    """Who the caller is."""

    account: UUID = ACCOUNT
    name: str = NAME
    role: Role = ROLE
    key: OwnKey


class AccountOut(Output):
    """An account, as our own services see it."""

    id: UUID
    name: str
    role: Role


def _listed(value: str) -> str:
    for one in value.split(","):
        UUID(one)
    return value


class AccountsQuery(Query):
    """Which accounts: those with these ids, or the next ones after an id."""

    ids: Annotated[str, AfterValidator(_listed)] | None = None
    after: UUID = UUID(int=0)
    limit: int = Field(default=100, ge=1, le=1000)


Position = tuple[datetime, str]
