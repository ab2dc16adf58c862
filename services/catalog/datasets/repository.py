"""Reads and writes the catalog's rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.catalog.datasets.entities import Dataset, Offering


class DatasetRepository:
    """The datasets in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, *, after: str, limit: int) -> Sequence[Dataset]:
        """At most `limit` datasets whose symbols follow `after`."""
        query = select(Dataset).where(col(Dataset.symbol) > after).order_by(col(Dataset.symbol)).limit(limit)
        return self._session.scalars(query).all()

    def find(self, symbol: str) -> Dataset | None:
        """The dataset, if there is one; text that is no symbol is not asked for, as PostgreSQL refuses some of it."""
        return self._session.get(Dataset, symbol) if symbol.isascii() and symbol.isalnum() else None

    def add(self, dataset: Dataset) -> bool:
        """Write a new dataset; false when its symbol is taken, also by a twin at the same moment."""
        values = dataset.model_dump()
        written = self._session.execute(
            insert(Dataset).values(values).on_conflict_do_nothing().returning(col(Dataset.symbol))
        )
        return written.first() is not None

    def save(self, dataset: Dataset) -> None:
        """Keep the changes made to a dataset."""
        self._session.add(dataset)
        self._session.flush()

    def offerings(self, symbols: Iterable[str]) -> Sequence[Offering]:
        """Every frequency ever offered of these datasets."""
        return self._session.scalars(select(Offering).where(col(Offering.symbol).in_(symbols))).all()

    def offer(self, symbol: str, frequencies: Iterable[str], at: datetime) -> None:
        """Offer frequencies from `at` on; a retired one comes back."""
        rows = [{"symbol": symbol, "frequency": f, "offered_at": at, "retired_at": None} for f in sorted(frequencies)]
        new = insert(Offering).values(rows)
        self._session.execute(
            new.on_conflict_do_update(
                index_elements=["symbol", "frequency"],
                set_={"offered_at": new.excluded.offered_at, "retired_at": None},
                where=col(Offering.retired_at).is_not(None),
            )
        )

    def lock_offering(self, symbol: str, frequency: str) -> Offering | None:
        """One frequency of a dataset, held until the transaction ends."""
        query = select(Offering).where(Offering.symbol == symbol, Offering.frequency == frequency).with_for_update()
        return self._session.scalars(query).first()
