"""What the catalog's processes are told."""

from pydantic import Field

from shared.settings import ServiceSettings


class CatalogSettings(ServiceSettings):
    """The catalog calls nobody, so it needs no more than its database."""

    catalog_database_url: str = Field(min_length=1, description="PostgreSQL, as the catalog's app role.")

    @property
    def database(self) -> str:
        """The URL of the catalog's own app role."""
        return self.catalog_database_url
