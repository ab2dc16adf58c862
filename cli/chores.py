"""An operator's chores: migrate, seed, keys, jobs, import. Each takes `--json` for machines."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args
from uuid import UUID

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from cli.bootstrap import bootstrap
from cli.containers import write_secrets
from cli.environment import app_url, migrate_given, operator_environment
from cli.seed import OPERATOR, seed_datasets, seed_keys
from cli.settings import BootstrapSettings, OperatorSettings
from gateway.keys.module import module as keys_module
from gateway.keys.policy import PATTERN, find_keys, is_usable
from gateway.keys.schemas import ApiKeyOut, Role
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.settings import KeysSettings
from services.catalog.module import module as catalog_module
from services.catalog.settings import CatalogSettings
from services.entitlements.module import module as entitlements_module
from services.pricing.feeds.jobs import run_job
from services.pricing.feeds.policy import BACKFILL
from services.pricing.feeds.runs import slot_of
from services.pricing.module import module as pricing_module
from services.pricing.prices.imports import PARQUET, import_prices
from services.pricing.settings import PricingSettings
from shared.clock import DatabaseClock
from shared.coherence.owner import settle
from shared.database import Database
from shared.module import Module
from shared.seals import HEAD, verify
from shared.wire import Line

chores = typer.Typer(add_completion=False)
keys = typer.Typer(no_args_is_help=True, help="API keys: create, list, rotate, revoke; and find leaked ones.")
jobs = typer.Typer(no_args_is_help=True, help="Scheduled jobs, run by hand.")
imports = typer.Typer(no_args_is_help=True, help="Load history from files.")
audits = typer.Typer(no_args_is_help=True, help="The record of who did what.")
chores.add_typer(audits, name="audit")
chores.add_typer(keys, name="keys")
chores.add_typer(jobs, name="jobs")
chores.add_typer(imports, name="import")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Heads = Annotated[
    list[str] | None,
    typer.Option("--head", metavar="TRAIL=HEAD", help="A head that was noted before, which has to be met again."),
]
console = Console(highlight=False)
T = TypeVar("T")
SHOWN = {"id", "name", "role"}
DAY = (
    "For backfill-market-caps: whose market cap, which is that of 20:00 UTC; the last day whose 20:00 has passed, "
    "if left out. sync-prices takes none."
)


@chores.command("migrate")
def migrate_command() -> None:
    """Make the database what this version needs."""
    settings = OperatorSettings.load()
    if settings.names_stores:
        migrate_given(settings)
    else:
        with operator_environment(settings):
            pass
    console.print("The database is up to date.")


@chores.command("bootstrap", hidden=True)
def bootstrap_command() -> None:
    """For containers: seed, wait for the gateway, and print where it is, the keys and four calls to try."""
    bootstrap(BootstrapSettings.load())


@chores.command("secrets", hidden=True)
def secrets_command(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)]) -> None:
    """For containers: make the secrets that are missing, a folder for each process."""
    write_secrets(folder)
    console.print(f"The secrets are in {folder}.", soft_wrap=True)


@chores.command("seed")
def seed_command() -> None:
    """Offer the first datasets and make the first keys, where there are none."""
    settings = OperatorSettings.load()
    with operator_environment(settings, keys_module, catalog_module):
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        datasets = seed_datasets(CatalogSettings.load())
        roles = seed_keys(KeysSettings.load(), settings.home / "keys.json")
    if datasets:
        console.print(f"Offered: {', '.join(datasets)}.")
    if roles:
        console.print(f"Keys made: {', '.join(roles)}; they are in {settings.home / 'keys.json'}.", soft_wrap=True)
    if not datasets and not roles:
        console.print("Nothing was made: the datasets are offered and there are keys already.")


@keys.command("create")
def create_key(
    name: Annotated[str | None, typer.Argument(help="The new account's name.")] = None,
    role: Annotated[str | None, typer.Option(help="quant, ops or admin, for a new account.")] = None,
    account: Annotated[UUID | None, typer.Option(metavar="ID", help="An account that exists, instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an account (NAME, --role) with a key, or one more key of an --account; the key is shown this once."""
    if account is None:
        line, known = _name(name), _role(role)
        key = _with_keys(lambda service, _now: service.create(name=line, role=known, by=OPERATOR))
    elif name is None and role is None:
        key = _with_keys(lambda service, _now: service.create_for(account, by=OPERATOR))
    else:
        raise typer.BadParameter("an account has its name and role already", param_hint="--account")
    _show(key.model_dump(mode="json"), as_json=as_json)


def _role(text: str | None) -> Role:
    if text not in get_args(Role):
        raise typer.BadParameter("quant, ops or admin", param_hint="--role")
    return cast("Role", text)


def _name(text: str | None) -> str:
    try:
        return TypeAdapter(Line).validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"] if text is not None else "say NAME and --role, or --account"
        raise typer.BadParameter(reason, param_hint="NAME") from None


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys, without their secrets; --json says more of each."""
    found = _with_keys(lambda service, now: [(key, _state(key, now)) for key in service.list()])
    if as_json:
        _show([{**key.model_dump(mode="json"), "state": state} for key, state in found], as_json=True)
        return
    used = {key.id: f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never" for key, _ in found}
    _show([{**key.model_dump(include=SHOWN), "state": state, "last used (UTC)": used[key.id]} for key, state in found])


def _state(key: ApiKeyOut, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "active" if is_usable(expires_at=key.expires_at, revoked_at=None, now=now) else "expired"


@keys.command("rotate")
def rotate_key(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    overlap: Annotated[
        int, typer.Option("--overlap-seconds", min=0, max=604_800, help="For how long the old key still works.")
    ] = 86_400,
    as_json: AsJson = False,
) -> None:
    """Make the key that takes this one's place; it is shown this once."""
    key = _with_keys(lambda service, _now: service.rotate(id_, overlap=timedelta(seconds=overlap), by=OPERATOR))
    asyncio.run(settle())  # no door takes the old key for longer than it now works
    _show(key.model_dump(mode="json"), as_json=as_json)


@keys.command(
    "check",
    epilog=f"For other leak scanners, the shape is {PATTERN}; the last six characters are a checksum of the rest.",
)
def check_keys(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="Lines on standard input, if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find our API keys in a text, by their shape and checksum; exit 1 if there is one. Asks no database.

    Only the ids are printed, never a key. A wrong checksum is no key of ours: a made-up or mistyped one.
    """
    if text is None and sys.stdin.isatty():
        raise typer.BadParameter("a text, or lines on standard input", param_hint="TEXT")
    found = _found_keys(sys.stdin.buffer if text is None else text.encode(errors="replace").splitlines())
    if as_json or found:
        _show(found, as_json=as_json)
    else:
        console.print("Nothing here has the shape of a key.")
    if any(one["checksum"] == "right" for one in found):
        raise typer.Exit(1)


@keys.command("revoke")
def revoke_key(id_: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Refuse a key from now on."""
    _with_keys(lambda service, _now: service.revoke(id_, OPERATOR))
    asyncio.run(settle())  # no door knows the key any more
    console.print(f"The key {id_} is revoked.")


@audits.command("verify")
def verify_audit(heads: Heads = None, as_json: AsJson = False) -> None:
    """Prove that no audit row was changed, removed or slipped in since it was sealed; exit 1 if one was."""
    modules = (keys_module, catalog_module, entitlements_module)
    noted = _noted(heads or [], [str(module.metadata.schema) for module in modules])
    with operator_environment(OperatorSettings.load(), *modules):
        found = [_verdict(module, noted.get(str(module.metadata.schema))) for module in modules]
    _show(found, as_json=as_json)
    if not all(row["ok"] for row in found):
        raise typer.Exit(1)


def _noted(heads: Sequence[str], trails: Sequence[str]) -> dict[str, str]:
    noted = dict(head.split("=", 1) for head in heads if "=" in head)
    if len(noted) < len(heads) or not all(trail in trails and re.fullmatch(HEAD, noted[trail]) for trail in noted):
        raise typer.BadParameter(f"TRAIL=HEAD, one for each of {', '.join(trails)} at most, as `audit verify` told it")
    return noted


def _verdict(module: Module, head: str | None) -> dict[str, Any]:
    assert module.trail is not None  # noqa: S101 - each of them keeps one
    with closing(Database(app_url(module), pool_size=1)) as database, database.transaction() as session:
        verdict = verify(session, module.trail, head).model_dump()
    return {"trail": module.metadata.schema, **verdict}


@jobs.command("run")
def run_job_command(
    name: str,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help=DAY)] = None,
    as_json: AsJson = False,
) -> None:
    """Run a job in the foreground: sync-prices (what is new, and older history) or backfill-market-caps (of a day).

    Exit 1 if something was left.
    """
    with (
        operator_environment(OperatorSettings.load(), pricing_module),
        _progress() as progress,
    ):
        settings, task = PricingSettings.load(), progress.add_task(name, total=None)
        meant = _day(settings, name, None if day is None else day.date())
        outcome = run_job(
            settings,
            name,
            date=meant,
            progress=lambda step, done=0, total=0: progress.update(
                task, description=f"{name}: {step}", completed=done, total=total or None
            ),
        )
    which = {"job": name} if meant is None else {"job": name, "day": meant.isoformat()}
    _show({**which, "partial": outcome.partial, "note": outcome.note, **outcome.counts}, as_json=as_json)
    if outcome.partial:
        raise typer.Exit(1)


def _day(settings: PricingSettings, name: str, given: date | None) -> date | None:
    """Which day's run is meant, by the database's clock; prices are not of a day."""
    with closing(Database(settings.database, pool_size=1)) as database, database.transaction() as session:
        slot = slot_of(name, given, DatabaseClock().now(session))
    return slot.date() if name == BACKFILL else None


@imports.command("prices")
def import_prices_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    dataset: Annotated[str, typer.Option(help="The dataset's symbol, for example BTC.")],
    frequency: Annotated[str, typer.Option(help="1h or 1d; 1mo is computed.")],
    column: Annotated[
        str | None, typer.Option(help="The price column; else the first of price_usd, price, close, open.")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Drop whatever is stored of the series first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Load a CSV or Parquet file: a time (timestamp, time or date) and an exact price. All of it or nothing.

    The first import or real sync of a series drops its sample, for good.
    """
    with (
        operator_environment(OperatorSettings.load(), pricing_module),
        _progress() as progress,
    ):
        task = progress.add_task("rows", total=_lines(file))
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


def _lines(file: Path) -> int | None:
    """How many rows a CSV has, nearly: what a person sees the work grow towards. Of anything else it is not known."""
    if not file.is_file():  # what is a pipe is read once
        return None
    with file.open("rb") as content:
        if content.read(len(PARQUET)) == PARQUET:
            return None
        return sum(chunk.count(b"\n") for chunk in iter(partial(content.read, 1 << 20), b""))


def _found_keys(lines: Iterable[bytes]) -> list[dict[str, str | int]]:
    return [
        {"line": number, "column": key.column, "id": key.id, "checksum": "right" if key.is_right else "wrong"}
        for number, line in enumerate(lines, start=1)
        for key in find_keys(line.decode("latin-1"))  # a key is ASCII, whatever stands around it
    ]


def _progress() -> Progress:
    """Shown to a person; nothing is said where nobody looks."""
    errors = Console(stderr=True)
    return Progress(console=errors, transient=True, disable=not errors.is_terminal)


def _with_keys(act: Callable[[KeyService, datetime], T]) -> T:
    """Do something with the keys, in a transaction of its own; it is told the database's time too."""
    with operator_environment(OperatorSettings.load(), keys_module):
        settings = KeysSettings.load()
        with closing(Database(settings.database, pool_size=1)) as database, database.transaction() as session:
            clock = DatabaseClock()
            return act(KeyService(session, clock, KeySecrets.under(settings)), clock.now(session))


def _show(content: Any, *, as_json: bool = False) -> None:
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
