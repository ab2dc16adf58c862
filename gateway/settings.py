"""What the gateway's processes are told."""

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.limits import Quota
from shared.settings import ServiceSettings, Settings

PEPPER = "Keys are stored as a digest under this secret; whoever changes it without a second one revokes all keys."


def _quota(text: str) -> str:
    Quota.parse(text)
    return text


QuotaText = Annotated[str, AfterValidator(_quota)]


class KeysSettings(ServiceSettings):
    """What the service of accounts and API keys is told."""

    gateway_database_url: str = Field(min_length=1, description="PostgreSQL, as the gateway's app role.")
    key_pepper: str = Field(min_length=16, description=PEPPER)

    @property
    def database(self) -> str:
        """The URL of the gateway's own app role."""
        return self.gateway_database_url


class GatewaySettings(Settings):
    """What the door is told: where its keys are, how it signs, and where each service is."""

    gateway_database_url: str = Field(min_length=1, description="PostgreSQL, as the gateway's app role.")
    key_pepper: str = Field(min_length=16, description=PEPPER)
    identity_private_key: str = Field(min_length=1, description="The gateway's Ed25519 key (PEM).")
    keys_url: str = Field(default="asgi://gateway.keys.main", description="Where the keys' service is.")
    catalog_url: str = Field(default="asgi://services.catalog.main", description="Where the catalog is.")
    entitlements_url: str = Field(default="asgi://services.entitlements.main", description="Where entitlements are.")
    pricing_url: str = Field(default="asgi://services.pricing.main", description="Where pricing is.")
    internal_port: int = Field(
        default=0, ge=0, le=65535, description="Serve the keys' service here too, for our own services; 0: do not."
    )

    rate_limit_key: QuotaText = Field(
        default="300000/minute", description="Requests of one key: N/second, /minute or /hour; 0: no limit."
    )
    rate_limit_address: QuotaText = Field(
        default="600000/minute", description="Requests of one client address, before its key is looked at; 0: no limit."
    )

    def url_of(self, service: str) -> str:
        """Where a service is: `asgi://package.main` or `http://host:port`."""
        return str(getattr(self, f"{service}_url"))
