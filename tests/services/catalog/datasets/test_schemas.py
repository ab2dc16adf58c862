"""What a dataset may be called, and how often it may be sold."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.catalog.datasets.schemas import DatasetChange, NewDataset

GOOD: dict[str, Any] = {"symbol": "SOL", "name": "Solana", "frequencies": ["1h"]}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"symbol": "1INCH"},
        {"symbol": "A"},
        {"symbol": "ABCDEFGHIJKL"},
        {"name": " Größe ₿ "},
        {"frequencies": ["1mo", "1d", "1h"]},
        {"kind": "price"},
        {"sources": {"coincap": "solana-2"}},
    ],
)
def test_a_good_dataset_is_taken(changed: dict[str, Any]) -> None:
    assert NewDataset.model_validate(GOOD | changed).kind == "price"


@pytest.mark.parametrize(
    "changed",
    [
        {"symbol": "sol"},
        {"symbol": ""},
        {"symbol": "ABCDEFGHIJKLM"},
        {"symbol": "SOL\n"},
        {"symbol": "SÖL"},
        {"symbol": "٣"},
        {"symbol": "SO L"},
        {"symbol": None},
        {"symbol": 7},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"name": "a\ud800b"},
        {"frequencies": []},
        {"frequencies": ["1m"]},
        {"frequencies": ["1H"]},
        {"frequencies": "1h"},
        {"frequencies": None},
        {"kind": "market-cap"},
        {"sources": {"coincap": "../secrets"}},
        {"sources": {"coincap": "Solana"}},
        {"sources": {"coincap": ""}},
        {"sources": {"elsewhere": "solana"}},
        {"sources": {"coincap": "x" * 65}},
        {"price": 1},
    ],
)
def test_any_other_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewDataset.model_validate(GOOD | changed)


@pytest.mark.parametrize("missing", ["symbol", "name", "frequencies"])
def test_a_dataset_lacks_nothing(missing: str) -> None:
    with pytest.raises(ValidationError):
        NewDataset.model_validate({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize("changed", [{"symbol": "ETH"}, {"kind": "price"}, {"name": ""}, {"frequencies": []}])
def test_a_change_touches_neither_symbol_nor_kind_and_empties_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DatasetChange.model_validate(changed)


def test_a_change_may_change_nothing() -> None:
    assert DatasetChange.model_validate({}).model_fields_set == set()
