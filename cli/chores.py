"""An operator's chores: migrate, seed, keys, jobs, import. Each takes `--json` for machines."""

import asyncio
import json
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from cli.bootstrap import bootstrap
from cli.containers import write_secrets
from cli.environment import migrate_given, operator_environment
from cli.seed import OPERATOR, seed_datasets, seed_keys
from cli.settings import BootstrapSettings, OperatorSettings
from gateway.keys.schemas import Role
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.settings import KeysSettings
from services.catalog.settings import CatalogSettings
from services.pricing.feeds.jobs import run_job
from services.pricing.prices.imports import import_prices
from services.pricing.settings import PricingSettings
from shared.clock import DatabaseClock
from shared.coherence.owner import settle
from shared.database import Database
from shared.wire import Line

chores = typer.Typer(add_completion=False)
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
jobs = typer.Typer(no_args_is_help=True, help="Scheduled jobs, run by hand.")
imports = typer.Typer(no_args_is_help=True, help="Load history from files.")
chores.add_typer(keys, name="keys")
chores.add_typer(jobs, name="jobs")
chores.add_typer(imports, name="import")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
console = Console(highlight=False)


@chores.command("migrate")
def migrate_command() -> None:
    """Make the database what this version needs."""
    settings = OperatorSettings.load()
    if settings.database_url:
        migrate_given(settings)
    else:
        with operator_environment(settings):
            pass
    console.print("The database is up to date.")


@chores.command("bootstrap")
def bootstrap_command() -> None:
    """For containers: seed, wait for the gateway, and print where it is, the keys and four calls to try."""
    bootstrap(BootstrapSettings.load())


@chores.command("secrets")
def secrets_command(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)]) -> None:
    """For containers: make the secrets that are missing, a folder for each process."""
    write_secrets(folder)
    console.print(f"The secrets are in {folder}.", soft_wrap=True)


@chores.command("seed")
def seed_command() -> None:
    """Offer the first datasets and make the first keys, where there are none."""
    settings = OperatorSettings.load()
    with operator_environment(settings):
        seed_datasets(CatalogSettings.load())
        seed_keys(KeysSettings.load(), settings.home / "keys.json")
        console.print(f"Seeded; the first keys are in {settings.home / 'keys.json'}.", soft_wrap=True)


@keys.command("create")
def create_key(
    name: str, role: Annotated[str, typer.Option(help="quant, ops or admin")], as_json: AsJson = False
) -> None:
    """Make an account with a key; the key is shown this once."""
    if role not in ("quant", "ops", "admin"):
        raise typer.BadParameter("quant, ops or admin", param_hint="--role")
    try:
        line = TypeAdapter(Line).validate_python(name)
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"], param_hint="name") from None
    key = _with_keys(lambda service: service.create(name=line, role=cast("Role", role), by=OPERATOR))
    _show(key.model_dump(mode="json"), as_json=as_json)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys, without their secrets."""
    rows = [key.model_dump(mode="json") for key in _with_keys(lambda service: service.list())]
    _show(rows, as_json=as_json)


@keys.command("revoke")
def revoke_key(id_: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Refuse a key from now on."""
    _with_keys(lambda service: service.revoke(id_, OPERATOR))
    asyncio.run(settle())  # no door knows the key any more
    console.print(f"The key {id_} is revoked.")


@jobs.command("run")
def run_job_command(
    name: str,
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Whose slot; today's if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a job in the foreground: sync-prices or backfill-market-caps."""
    with (
        operator_environment(OperatorSettings.load()),
        _progress() as progress,
    ):
        task = progress.add_task(name, total=None)
        outcome = run_job(
            PricingSettings.load(),
            name,
            date=None if day is None else date(day.year, day.month, day.day),
            progress=lambda text: progress.update(task, description=f"{name}: {text}"),
        )
    _show({"job": name, "partial": outcome.partial, "note": outcome.note, **outcome.counts}, as_json=as_json)


@imports.command("prices")
def import_prices_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    dataset: Annotated[str, typer.Option(help="The dataset's symbol, for example BTC.")],
    frequency: Annotated[str, typer.Option(help="1h or 1d; 1mo is computed.")],
    column: Annotated[str | None, typer.Option(help="The price column, if not price_usd, price or close.")] = None,
    replace: Annotated[bool, typer.Option(help="Drop a series of another source first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Load a CSV with a header: timestamp (or time, date) and price. All of it or nothing."""
    with (
        operator_environment(OperatorSettings.load()),
        _progress() as progress,
    ):
        task = progress.add_task("rows", total=None)
        counts = import_prices(
            PricingSettings.load(),
            file,
            dataset=dataset,
            frequency=frequency,
            column=column,
            replace=replace,
            progress=lambda rows: progress.update(task, completed=rows),
        )
    _show({"dataset": dataset, "frequency": frequency, **counts}, as_json=as_json)


def _progress() -> Progress:
    """Shown to a person; nothing is said where nobody looks."""
    errors = Console(stderr=True)
    return Progress(console=errors, transient=True, disable=not errors.is_terminal)


def _with_keys(act: Any) -> Any:
    with operator_environment(OperatorSettings.load()):
        settings = KeysSettings.load()
        with closing(Database(settings.database, pool_size=1)) as database, database.transaction() as session:
            return act(KeyService(session, DatabaseClock(), KeySecrets(settings.key_pepper)))


def _show(content: Any, *, as_json: bool) -> None:
    """Print a row or rows, for a person or for a machine."""
    if as_json:
        typer.echo(json.dumps(content))
        return
    if isinstance(content, dict):  # a line for each, whole, however narrow the terminal: a key is shown this once
        for name, value in content.items():
            console.print(f"{name:<12} {'' if value is None else value}", soft_wrap=True, markup=False)
        return
    names = list(content[0]) if content else ["nothing"]
    table = Table(*(Column(name, overflow="fold", no_wrap=name == "id") for name in names))
    for row in content:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    console.print(table)
