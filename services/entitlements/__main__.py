"""`python -m services.entitlements api|worker|relay`."""

from services.entitlements.main import app
from services.entitlements.module import module
from shared.process import main

main(module, app)
