"""Imports from the command line: all or nothing, what is refused, exact text, batches."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services.pricing.prices import imports
from services.pricing.prices.errors import ImportRefused
from services.pricing.prices.imports import import_prices
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.schemas import Chunk, Window
from services.pricing.prices.service import PriceService
from services.pricing.settings import PricingSettings
from shared.clock import DatabaseClock
from shared.database import Database
from tests.services.pricing.conftest import bars

Read = Callable[[str], Chunk]


@pytest.fixture
def read(database: Database) -> Read:
    def chunk(frequency: str) -> Chunk:
        with database.transaction() as session:
            window = Window("BTC", frequency, EARLIEST, LATEST)
            return PriceService(session, DatabaseClock()).read(window, format_="csv", limit=50_000)

    return chunk


def file(folder: Path, *lines: str) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join(["date,close", *lines]) + "\n")
    return path


def test_the_real_hourly_history_keeps_its_text(settings: PricingSettings, read: Read, history: Path) -> None:
    path = history / "btc_usd_1h_2017-2019.csv"
    told: list[int] = []
    counts = import_prices(settings, path, dataset="BTC", frequency="1h", column="open", progress=told.append)
    assert counts == {"inserted": 20_111, "revised": 0, "unchanged": 0}
    assert told == [20_111]
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    found = read("1h")
    assert found.body == "".join(f"{row[0]},{row[1]},true\n" for row in rows)
    assert found.source == "imported"
    again = import_prices(settings, path, dataset="BTC", frequency="1h", column="open")
    assert again == {"inserted": 0, "revised": 0, "unchanged": 20_111}


def test_a_bad_line_undoes_the_batches_before_it(
    settings: PricingSettings, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH", 2)
    days = [f"2025-06-{day:02},{day}.0" for day in range(1, 8)]
    with pytest.raises(ImportRefused, match="line 9: the price is not"):
        import_prices(settings, file(tmp_path, *days, "2025-06-08,?"), dataset="BTC", frequency="1d")
    assert read("1d").last is None
    counts = import_prices(settings, file(tmp_path, *days), dataset="BTC", frequency="1d")
    assert counts == {"inserted": 7, "revised": 0, "unchanged": 0}


@pytest.mark.parametrize(
    ("dataset", "frequency", "complaint"),
    [
        ("BTC", "1mo", "1mo is computed; import 1d"),
        ("DOGE", "1d", "there is no dataset DOGE"),
        ("ETH", "1h", "ETH is not offered at 1h, only at 1d"),
        ("BTC", "5m", "BTC is not offered at 5m, only at 1h, 1d, 1mo"),
    ],
)
def test_what_is_not_offered_is_refused(
    settings: PricingSettings, tmp_path: Path, dataset: str, frequency: str, complaint: str
) -> None:
    with pytest.raises(ImportRefused, match=complaint):
        import_prices(settings, file(tmp_path, "2025-06-01,1.0"), dataset=dataset, frequency=frequency)


def test_another_sources_series_gives_way_only_to_replace(
    settings: PricingSettings, database: Database, read: Read, tmp_path: Path
) -> None:
    with database.transaction() as session:
        PriceService(session, DatabaseClock()).load("BTC", "1d", "coincap", bars(1))
    path = file(tmp_path, "2025-06-01,1.0")
    with pytest.raises(ImportRefused, match=r"BTC 1d holds coincap prices; .* --replace"):
        import_prices(settings, path, dataset="BTC", frequency="1d")
    assert read("1d").source == "coincap"
    assert import_prices(settings, path, dataset="BTC", frequency="1d", replace=True)["inserted"] == 1
    assert read("1d").body == "2025-06-01T00:00:00Z,1.0,true\n"


def test_a_file_that_is_not_utf_8_is_refused(settings: PricingSettings, tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"date,close\n2025-06-01,1.0\xff\n")
    with pytest.raises(ImportRefused, match="not UTF-8"):
        import_prices(settings, path, dataset="BTC", frequency="1d")
