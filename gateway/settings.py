"""What the gateway's processes are told."""

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints, field_validator
from pydantic_core.core_schema import ValidationInfo

from gateway.limits import Quota
from shared.settings import PrivateKey, ServiceSettings, Settings

PEPPER_LENGTH = 16
SAME_VERSION = "holds the version of TICKGATE_KEY_PEPPER; raise TICKGATE_KEY_PEPPER_VERSION with every new pepper"


def _quota(text: str) -> str:
    Quota.parse(text)
    return text


QuotaText = Annotated[str, AfterValidator(_quota)]


class PepperSettings(Settings):
    """The secrets under which keys are digested: the present one, and the others that digests may still be under.

    To change the pepper: move the old one into `KEY_PEPPERS_OLD` under its version, and set the new one with a higher
    version. Each key is digested anew when it is next used. Where several replicas run, first make the new pepper known
    to all of them, under its version in `KEY_PEPPERS_OLD`, and only then the present one.
    """

    key_pepper: str = Field(
        min_length=PEPPER_LENGTH,
        description="Keys are stored as a digest under this secret; changed without keeping the old one, all are void.",
    )
    key_pepper_version: int = Field(
        default=1, ge=1, description="The number of TICKGATE_KEY_PEPPER; one more with every new pepper."
    )
    key_peppers_old: dict[PositiveInt, Annotated[str, StringConstraints(min_length=PEPPER_LENGTH)]] = Field(
        default_factory=dict, description='JSON: version -> pepper, {"1": "..."}: others that keys may still be under.'
    )

    @field_validator("key_peppers_old")
    @classmethod
    def _other_versions(cls, value: dict[int, str], info: ValidationInfo) -> dict[int, str]:
        if info.data.get("key_pepper_version") in value:
            raise ValueError(SAME_VERSION)
        return value


class KeysSettings(PepperSettings, ServiceSettings):
    """What the service of accounts and API keys is told."""

    gateway_database_url: str = Field(min_length=1, description="PostgreSQL, as the gateway's app role.")

    @property
    def database(self) -> str:
        """The URL of the gateway's own app role."""
        return self.gateway_database_url


class GatewaySettings(PepperSettings):
    """What the door is told: where its keys are, how it signs, and where each service is."""

    gateway_database_url: str = Field(min_length=1, description="PostgreSQL, as the gateway's app role.")
    identity_private_key: PrivateKey = Field(min_length=1, description="The gateway's Ed25519 key (PEM).")
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
