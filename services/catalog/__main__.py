"""`python -m services.catalog api`."""

from services.catalog.main import app
from services.catalog.module import module
from shared.process import main

main(module, app)
