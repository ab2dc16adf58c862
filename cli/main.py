"""The `tickgate` command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cli.bootstrap import GatewaySilent
from cli.chores import chores
from cli.demo.story import demo
from cli.doctor import doctor
from cli.embedded.servers import EmbeddedServerError
from cli.environment import SettingsClash
from cli.migrate import MigrationFailed
from cli.platform import PlatformFailed
from cli.settings import OperatorSettings
from cli.up import up
from shared.errors import Problem
from shared.logs import configure_logs
from shared.settings import SettingsMissing

EXPECTED = (
    EmbeddedServerError,
    SettingsClash,
    SettingsMissing,
    MigrationFailed,
    PlatformFailed,
    GatewaySilent,
    Problem,
)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The data vendor's platform, from one command.",
)
app.add_typer(chores)


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


@app.command("up")
def up_command() -> None:
    """Run everything in the foreground: stores, gateway, services, worker, relay and scheduler."""
    up(OperatorSettings.load())


@app.command("demo")
def demo_command() -> None:
    """Tell the whole story over HTTP, step by step, on a platform of its own; exit 1 if a step fails."""
    sys.exit(0 if demo(OperatorSettings.load()) else 1)


@app.command("doctor")
def doctor_command() -> None:
    """Say in plain words what is in order and what is not; exit 1 if something is not."""
    sys.exit(0 if doctor(OperatorSettings.load()) else 1)
