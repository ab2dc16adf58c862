"""The pricing's HTTP application."""

from services.pricing.module import module
from shared.application import create_app

app = create_app(module)
