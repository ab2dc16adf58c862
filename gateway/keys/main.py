"""The HTTP application of accounts and keys."""

from gateway.keys.module import module
from shared.application import create_app

app = create_app(module)
