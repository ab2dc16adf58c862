"""What the operator's commands are told."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.settings import Settings

PREFIX = "TICKGATE_"
SCHEMAS = ("gateway", "catalog", "entitlements", "pricing")
ISSUERS = ("gateway", "entitlements", "pricing")


class OperatorSettings(Settings):
    """Only the commands know the owner's URL; no service does."""

    database_url: str = Field(default="", description="PostgreSQL 15 or newer, as owner; none: an embedded one.")
    gateway_database_url: str = Field(default="", description="The same, as the gateway's app role.")
    catalog_database_url: str = Field(default="", description="The same, as the catalog's app role.")
    entitlements_database_url: str = Field(default="", description="The same, as the entitlements' app role.")
    pricing_database_url: str = Field(default="", description="The same, as the pricing's app role.")
    home: Path = Field(default=Path(".tickgate"), description="State of the embedded mode.")

    def app_url(self, schema: str) -> str:
        """The URL of a schema's app role."""
        return str(getattr(self, f"{schema}_database_url"))

    @property
    def names_stores(self) -> bool:
        """Whether stores of one's own are meant, and no embedded ones."""
        return bool(self.database_url) or any(self.app_url(schema) for schema in SCHEMAS)


class BootstrapSettings(Settings):
    """What the containers' first start is told."""

    bootstrap: Literal["all", "admin"] = Field(
        default="all", description="Which keys to make: one per role, or admin's."
    )
    public_url: str = Field(default="http://127.0.0.1:8080", description="Where people reach the gateway.")
    gateway_url: str = Field(default="http://127.0.0.1:8080", description="Where the containers reach the gateway.")
    home: Path = Field(default=Path(".tickgate"), description="Where keys.json is kept.")
