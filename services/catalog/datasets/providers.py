"""Puts the catalog's use cases together."""

from typing import Annotated

from fastapi import Depends

from services.catalog.datasets.service import DatasetService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _datasets(session: Transaction) -> DatasetService:
    return DatasetService(session, DatabaseClock())


Datasets = Annotated[DatasetService, Depends(_datasets)]
