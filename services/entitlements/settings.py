"""What the entitlements' processes are told."""

from pydantic import Field, field_validator

from shared.settings import SECRET_LENGTH, ServiceSettings


class EntitlementsSettings(ServiceSettings):
    """Its database, and where it asks what is offered and which accounts there are."""

    entitlements_database_url: str = Field(min_length=1, description="PostgreSQL, as the entitlements' app role.")
    webhook_key: str = Field(
        default="", description="Encrypts webhooks' secrets; at least 16 characters. None: there are no webhooks."
    )
    webhooks_anywhere: bool = Field(
        default=False, description="For development: webhooks may lead to http and to private addresses."
    )
    catalog_url: str = Field(default="asgi://services.catalog.main", description="Where the catalog is.")
    keys_url: str = Field(default="asgi://gateway.keys.main", description="Where the gateway's accounts are.")

    @field_validator("webhook_key")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and len(value) < SECRET_LENGTH:
            raise ValueError(f"at least {SECRET_LENGTH} characters")
        return value

    @property
    def database(self) -> str:
        """The URL of the entitlements' own app role."""
        return self.entitlements_database_url
