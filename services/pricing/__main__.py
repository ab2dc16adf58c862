"""`python -m services.pricing api|scheduler`."""

from services.pricing.main import app
from services.pricing.module import module
from shared.process import main

main(module, app)
