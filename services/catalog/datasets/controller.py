"""The catalog over HTTP: public reads, changes by Ops, and what our own services ask."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.catalog.datasets.providers import Datasets
from services.catalog.datasets.schemas import (
    DatasetChange,
    DatasetList,
    DatasetOut,
    Frequency,
    NewDataset,
    OfferedDataset,
    Retirement,
)
from shared.pagination import Page, cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/datasets", tags=["Catalog"])
internal = APIRouter(prefix="/internal/datasets", include_in_schema=False)
SCOPE = "datasets"


@router.get("", summary="List the datasets on offer", operation_id="listDatasets")
def list_datasets(
    datasets: Datasets, page: Annotated[Page, Query()], request: Request, response: Response
) -> DatasetList:
    """Every dataset with its name, symbol and the frequencies it is offered in. Needs no key."""
    cursors = cursors_of(request)
    after = cursors.load(SCOPE, page.cursor) if page.cursor else ""
    rows, more = cut(datasets.page(after=after, limit=page.limit + 1), page.limit)
    cursor = cursors.dump(SCOPE, rows[-1].symbol) if more else None
    link_next(request, response, cursor)
    return DatasetList(data=[DatasetOut.model_validate(row) for row in rows], next_cursor=cursor)


@router.post("", status_code=201, summary="Add a dataset", operation_id="addDataset")
def add_dataset(new: NewDataset, datasets: Datasets, caller: Caller, response: Response) -> DatasetOut:
    """Offer a new dataset. Its history arrives with the next run of `sync-prices`."""
    response.headers["Location"] = f"/v1/datasets/{new.symbol}"
    return DatasetOut.model_validate(datasets.add(new, caller))


@router.get("/{symbol}", summary="Show a dataset", operation_id="getDataset")
def get_dataset(symbol: str, datasets: Datasets) -> DatasetOut:
    """One dataset. Needs no key."""
    return DatasetOut.model_validate(datasets.find(symbol))


@router.patch("/{symbol}", summary="Change a dataset", operation_id="changeDataset")
def change_dataset(symbol: str, change: DatasetChange, datasets: Datasets, caller: Caller) -> DatasetOut:
    """Rename a dataset, name its feeds, or offer more frequencies; a retired frequency comes back."""
    return DatasetOut.model_validate(datasets.change(symbol, change, caller))


@router.delete(
    "/{symbol}/frequencies/{frequency}",
    status_code=204,
    summary="Retire a frequency",
    operation_id="retireFrequency",
)
def retire_frequency(
    symbol: str, frequency: Frequency, datasets: Datasets, caller: Caller, query: Annotated[Retirement, Query()]
) -> None:
    """Stop offering a frequency, at once or at `effective_at`."""
    datasets.retire(symbol, frequency, query.effective_at, caller)


@internal.get("")
def list_offered(datasets: Datasets) -> list[OfferedDataset]:
    """Every dataset with its feeds and retirements, for the feeds."""
    return datasets.page(limit=10_000)


@internal.get("/{symbol}")
def get_offered(symbol: str, datasets: Datasets) -> OfferedDataset:
    """One dataset with its feeds and retirements."""
    return datasets.find(symbol)
