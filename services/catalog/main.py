"""The catalog's HTTP application."""

from services.catalog.module import module
from shared.application import create_app

app = create_app(module)
