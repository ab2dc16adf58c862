"""The entitlements' HTTP application."""

from services.entitlements.module import module
from shared.application import create_app

app = create_app(module)
