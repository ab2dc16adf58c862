"""The `tickgate` command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.exc import OperationalError

from cli.bootstrap import GatewaySilent
from cli.chores import chores
from cli.demo.story import demo
from cli.doctor import doctor
from cli.embedded.servers import EmbeddedServerError
from cli.environment import SettingsClash
from cli.migrate import MigrationFailed
from cli.outbox import NothingDead, outbox
from cli.platform import PlatformFailed, PortTaken
from cli.refusals import told
from cli.settings import OperatorSettings
from cli.up import up
from services.pricing.access.errors import CatalogUnavailable
from services.pricing.feeds.errors import KeyUnusable
from services.pricing.prices.errors import ImportRefused
from shared import __version__
from shared.errors import Problem
from shared.jobs import AlreadyRunning
from shared.logs import configure_logs
from shared.settings import SettingsMissing

EXPECTED = (
    EmbeddedServerError,
    SettingsClash,
    SettingsMissing,
    MigrationFailed,
    PlatformFailed,
    PortTaken,
    GatewaySilent,
    ImportRefused,
    AlreadyRunning,
    NothingDead,
    CatalogUnavailable,
    KeyUnusable,
)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(chores)
app.add_typer(outbox, name="outbox")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tickgate {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; what can be expected to go wrong ends it with one clear message and status 1."""
    configure_logs("tickgate", level="warning")
    with clear_errors():
        app()


@contextmanager
def clear_errors() -> Iterator[None]:
    """Expected errors end the process with their message instead of a traceback."""
    try:
        yield
    except EXPECTED as error:
        sys.exit(str(error))
    except Problem as problem:
        sys.exit(told(problem))
    except OperationalError as error:
        sys.exit(f"The database does not answer: {' '.join(str(error.orig).split())}")


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The data vendor's platform, from one command."""


@app.command("up")
def up_command() -> None:
    """Run everything in the foreground: stores, gateway, services, worker, relay, announcer and scheduler."""
    up(OperatorSettings.load())


@app.command("demo")
def demo_command() -> None:
    """Tell the whole story over HTTP, step by step, on a platform of its own; exit 1 if a step fails.

    TICKGATE_... settings are left aside: it always runs embedded, on the sample.
    """
    sys.exit(0 if demo() else 1)


@app.command("doctor")
def doctor_command() -> None:
    """Say in plain words what is in order and what is not; exit 1 if something is not."""
    sys.exit(0 if doctor(OperatorSettings.load()) else 1)
