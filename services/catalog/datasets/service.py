"""What can be done with datasets: list, find, add, change, retire a frequency."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from services.catalog.database import audit_events
from services.catalog.datasets.entities import Dataset, Offering
from services.catalog.datasets.errors import DatasetExists, DatasetNotFound, FrequencyNotFound, Retired
from services.catalog.datasets.repository import DatasetRepository
from services.catalog.datasets.schemas import ORDER, DatasetChange, NewDataset, OfferedDataset
from shared import audit
from shared.clock import Clock
from shared.errors import invalid
from shared.principal import Principal
from shared.wire import instant_text


class DatasetService:
    """The catalog's use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._datasets = DatasetRepository(session)

    def page(self, *, after: str = "", limit: int) -> list[OfferedDataset]:
        """Datasets by symbol, with the frequencies offered now."""
        return self._described(self._datasets.page(after=after, limit=limit))

    def find(self, symbol: str) -> OfferedDataset:
        """One dataset; raises DatasetNotFound."""
        return self._described([self._existing(symbol)])[0]

    def add(self, new: NewDataset, by: Principal) -> OfferedDataset:
        """Offer a new dataset; raises DatasetExists."""
        now = self._clock.now(self._session)
        sources = {str(feed): slug for feed, slug in new.sources.items()}
        dataset = Dataset(symbol=new.symbol, name=new.name, kind=new.kind, sources=sources, created_at=now)
        if not self._datasets.add(dataset):
            raise DatasetExists
        self._datasets.offer(new.symbol, new.frequencies, now)
        self._record(by, "dataset.added", new.symbol, frequencies=sorted(new.frequencies))
        return self.find(new.symbol)

    def change(self, symbol: str, change: DatasetChange, by: Principal) -> OfferedDataset:
        """Rename a dataset, name its feeds, offer more frequencies; raises DatasetNotFound."""
        dataset = self._existing(symbol)
        if change.name is not None:
            dataset.name = change.name
        if change.sources is not None:
            dataset.sources = {str(feed): slug for feed, slug in change.sources.items()}
        self._datasets.save(dataset)
        if change.frequencies:
            self._datasets.offer(symbol, change.frequencies, self._clock.now(self._session))
        self._record(by, "dataset.changed", symbol, fields=sorted(change.model_fields_set))
        return self.find(symbol)

    def retire(self, symbol: str, frequency: str, at: datetime | None, by: Principal) -> None:
        """Stop offering a frequency, now or later; raises when it is not offered any more, or never was."""
        self._existing(symbol)
        offering = self._datasets.lock_offering(symbol, frequency)
        if offering is None:
            raise FrequencyNotFound
        now = self._clock.now(self._session)
        if offering.retired_at is not None and offering.retired_at <= now:
            raise Retired(retired_at=instant_text(offering.retired_at))
        if at is not None and at < now:
            raise invalid("query", "/effective_at", "an instant that is not past")
        offering.retired_at = at or now
        self._record(by, "frequency.retired", symbol, frequency=frequency, at=offering.retired_at.isoformat())

    def _existing(self, symbol: str) -> Dataset:
        dataset = self._datasets.find(symbol)
        if dataset is None:
            raise DatasetNotFound
        return dataset

    def _described(self, datasets: Sequence[Dataset]) -> list[OfferedDataset]:
        now = self._clock.now(self._session)
        offerings = self._datasets.offerings([d.symbol for d in datasets])
        return [_describe(d, [o for o in offerings if o.symbol == d.symbol], now) for d in datasets]

    def _record(self, by: Principal, action: str, symbol: str, **data: object) -> None:
        audit.record(self._session, audit_events, actor=by, action=action, subject=symbol, data=data)


def _describe(dataset: Dataset, offerings: Sequence[Offering], now: datetime) -> OfferedDataset:
    current = [o.frequency for o in offerings if o.retired_at is None or o.retired_at > now]
    return OfferedDataset(
        symbol=dataset.symbol,
        name=dataset.name,
        frequencies=sorted(current, key=ORDER.index),
        sources=dataset.sources,
        retired={o.frequency: o.retired_at for o in offerings if o.retired_at is not None},
    )
