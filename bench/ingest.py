"""Ingest: prices validated and merged with revisions kept, beside a direct COPY of the same rows."""

import gc
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from cli.embedded.servers import embedded_servers
from cli.migrate import migrate
from cli.secrets import embedded_secrets
from cli.settings import PREFIX, OperatorSettings
from services.pricing.feeds import wire
from services.pricing.feeds.entities import History
from services.pricing.feeds.intake import Intake
from services.pricing.feeds.schemas import Asked, Feed
from services.pricing.prices.file import read_rows
from services.pricing.prices.service import PriceService
from shared.clock import DatabaseClock
from shared.database import Database

PAGE = 720  # 30 days of hours, as much as a call asks CoinCap for
ROWS = 111 * PAGE  # as one page, nearly as long as an answer may be
ROUNDS = 7
HOUR = timedelta(hours=1)
START = datetime(2010, 1, 1, tzinfo=UTC)
END = START + ROWS * HOUR
GOAL = 0.3
FEED = Feed("BTC", "bitcoin", ("1h",))
WHOLE, BY_PAGES = "direct COPY", "direct COPY of 720 rows each"


@dataclass(frozen=True)
class Rows:
    """The same prices, in each of the forms in which they arrive."""

    csv: str
    pages: list[bytes]
    page: bytes
    copy: str
    copies: list[str]

    @classmethod
    def made(cls) -> "Rows":
        """A walk with 18 decimals, as CoinCap writes them."""
        times = [START + n * HOUR for n in range(ROWS)]
        prices = [f"{30_000 + n * 7919 % 9973}.{n * 104_729 % 10**18:018d}" for n in range(ROWS)]
        pairs = list(zip(times, prices, strict=True))
        csv = "".join(f"{at.isoformat()},{price}\n" for at, price in pairs)
        points = [f'{{"priceUsd":"{price}","time":{wire.milliseconds(at)}}}' for at, price in pairs]
        copied = [f"BTC\t1h\t{at.isoformat()}\t{price}\t{END.isoformat()}\t1\n" for at, price in pairs]
        firsts = range(0, ROWS, PAGE)
        return cls(
            csv=f"timestamp,price_usd\n{csv}",
            pages=[_answer(points[first : first + PAGE]) for first in firsts],
            page=_answer(points),
            copy="".join(copied),
            copies=["".join(copied[first : first + PAGE]) for first in firsts],
        )


def _answer(points: list[str]) -> bytes:
    return f'{{"data":[{",".join(points)}]}}'.encode()


class Bench:
    """The contenders, each over an empty table with the same columns, checks and primary key."""

    def __init__(self, database: Database, owner_url: str, rows: Rows) -> None:
        self._database = database
        self._owner_url = owner_url
        self._rows = rows

    def imported(self) -> None:
        """A CSV file: read, validated, merged."""
        with self._database.transaction() as session:
            found = list(read_rows(io.StringIO(self._rows.csv), period=HOUR, now=END))
            PriceService(session, DatabaseClock()).load("BTC", "1h", "imported", found, seen_at=END)

    def fed(self) -> None:
        """A page of CoinCap's JSON: parsed, validated, judged for jumps, merged."""
        self._take(START, END, self._read(self._rows.page, START, END))

    def backfilled(self) -> None:
        """Pages of 30 days, the newest first, a transaction each."""
        for number, page in reversed(list(enumerate(self._rows.pages))):
            start = START + number * PAGE * HOUR
            end = start + PAGE * HOUR
            self._take(start, end, self._read(page, start, end))

    def merged(self, history: History) -> None:
        """Samples that were read before: judged and merged."""
        self._take(START, END, history)

    def page(self) -> History:
        """The samples of the one long page."""
        return self._read(self._rows.page, START, END)

    def _read(self, body: bytes, start: datetime, end: datetime) -> History:
        latest, period = wire.milliseconds(END), HOUR // wire.MILLISECOND
        asked = wire.Page(wire.milliseconds(start), wire.milliseconds(end), period=period, latest=latest)
        return wire.history(wire.history_document(body), asked)

    def _take(self, start: datetime, end: datetime, history: History) -> None:
        with self._database.transaction() as session:
            Intake(session, DatabaseClock(), "coincap").take(Asked(FEED, "1h", start, end, END), history)

    def copied_by_pages(self) -> None:
        """The least there is where each 720 rows are committed."""
        self._copy(self._rows.copies)

    def copied(self) -> None:
        """The least there is: COPY of ready text, unvalidated, nothing merged."""
        self._copy([self._rows.copy])

    def _copy(self, texts: list[str]) -> None:
        with closing(psycopg.connect(self._owner_url)) as connection, connection.cursor() as cursor:
            for rows in texts:
                with cursor.copy("copy bench_prices from stdin") as copy:
                    copy.write(rows)
                connection.commit()

    def empty(self) -> None:
        """Before every round: new tables, no dead rows of the last one."""
        with closing(psycopg.connect(self._owner_url, autocommit=True)) as connection:
            connection.execute(
                "truncate pricing.prices, pricing.price_revisions, pricing.price_gaps, pricing.series, bench_prices"
            )
            connection.execute("checkpoint")

    def check(self, act: Callable[[], None]) -> None:
        """Exit unless the rows that stand there are, digit by digit, those of a COPY."""
        self.empty()
        self.copied()
        act()
        with closing(psycopg.connect(self._owner_url)) as connection:
            same = "select count(*) from pricing.prices p join bench_prices b using (dataset, frequency, timestamp)"
            ((found,),) = connection.execute(f"{same} where p.price_usd::text = b.price_usd::text").fetchall()
        if found != ROWS:
            sys.exit(f"{found} of {ROWS} rows are as they should be")

    def contenders(self) -> dict[str, tuple[Callable[[], None], str]]:
        """By the name they have in the table, each with the COPY that it is measured against."""
        history = self.page()
        return {
            "one page: JSON validated, judged, merged": (self.fed, WHOLE),
            "import: CSV validated, merged": (self.imported, WHOLE),
            "validated before: judged, merged": (lambda: self.merged(history), WHOLE),
            WHOLE: (self.copied, WHOLE),
            "pages of 720, a transaction each": (self.backfilled, BY_PAGES),
            BY_PAGES: (self.copied_by_pages, BY_PAGES),
        }


@contextmanager
def bench() -> Iterator[Bench]:
    """Embedded servers of their own, migrated, with a bare table beside the real one."""
    with tempfile.TemporaryDirectory(prefix="tickgate-bench-") as folder, embedded_servers(Path(folder)) as servers:
        env = {f"{PREFIX}DATABASE_URL": servers.database_url, f"{PREFIX}REDIS_URL": servers.redis_url}
        env |= embedded_secrets(Path(folder), servers.database_url)
        settings = OperatorSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in env.items()})
        migrate(settings)
        with closing(psycopg.connect(servers.database_url, autocommit=True)) as connection:
            connection.execute("create table bench_prices (like pricing.prices including all)")
        with closing(Database(settings.app_url("pricing"), pool_size=1)) as database:
            with database.transaction() as session:
                session.execute(text("select 1"))
            yield Bench(database, servers.database_url, Rows.made())


def measured(bench: Bench) -> dict[str, float]:
    """Rows a second of each contender, medians of rounds that take turns."""
    contenders = {name: act for name, (act, _) in bench.contenders().items()}
    for name, act in contenders.items():
        if name not in (WHOLE, BY_PAGES):
            bench.check(act)
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(ROUNDS):
        names = list(contenders)[number % len(contenders) :] + list(contenders)[: number % len(contenders)]
        for name in names:
            bench.empty()
            gc.collect()
            began = time.perf_counter()
            contenders[name]()
            found[name].append(ROWS / (time.perf_counter() - began))
    return {name: statistics.median(rates) for name, rates in found.items()}


def main() -> None:
    """Measure and print the table."""
    with bench() as ready:
        found = measured(ready)
        against = {name: least for name, (_, least) in ready.contenders().items()}
    table = Table(title=f"Ingest of {ROWS:,} hourly prices, medians of {ROUNDS} rounds; goal: {GOAL} of direct COPY")
    for heading in ("", "rows/s", "of COPY"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rate in found.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / found[against[name]]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
