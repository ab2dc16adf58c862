"""What the entitlements' processes are told."""

from pydantic import Field

from shared.settings import ServiceSettings


class EntitlementsSettings(ServiceSettings):
    """Its database, and where it asks what is offered and which accounts there are."""

    entitlements_database_url: str = Field(min_length=1, description="PostgreSQL, as the entitlements' app role.")
    catalog_url: str = Field(default="asgi://services.catalog.main", description="Where the catalog is.")
    keys_url: str = Field(default="asgi://gateway.keys.main", description="Where the gateway's accounts are.")

    @property
    def database(self) -> str:
        """The URL of the entitlements' own app role."""
        return self.entitlements_database_url
