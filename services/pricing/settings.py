"""What the pricing's processes are told."""

from pydantic import Field

from shared.settings import ServiceSettings


class PricingSettings(ServiceSettings):
    """Pricing asks the catalog what is offered and entitlements who may read, and its feeds ask CoinCap."""

    pricing_database_url: str = Field(min_length=1, description="PostgreSQL, as the pricing's app role.")
    entitlements_url: str = Field(default="asgi://services.entitlements.main", description="Where entitlements is.")
    catalog_url: str = Field(default="asgi://services.catalog.main", description="Where the catalog is.")
    coincap_url: str = Field(default="https://rest.coincap.io/v3", description="CoinCap v3.")
    coincap_api_key: str = Field(default="", description="CoinCap's key; without one the feeds bring the sample.")
    coincap_credits: int = Field(default=4000, ge=0, description="CoinCap's credits that a month may cost.")

    @property
    def database(self) -> str:
        """The URL of the pricing's own app role."""
        return self.pricing_database_url
