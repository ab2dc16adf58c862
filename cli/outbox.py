"""Events that were given up: what they are, why, and letting them be tried again."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy.orm import Session

from cli.environment import operator_environment
from cli.settings import OperatorSettings
from services.entitlements.database import outbox as table
from services.entitlements.module import module as entitlements_module
from services.entitlements.settings import EntitlementsSettings
from shared.backlog import backlog, dead_letters, replay
from shared.database import Database
from shared.wire import instant_text

outbox = typer.Typer(no_args_is_help=True, help="Events on their way to people: list what was given up, replay it.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
console = Console(highlight=False)
T = TypeVar("T")


class NothingDead(Exception):
    """There is no such event among those that were given up; `tickgate outbox list` shows them."""


@outbox.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, the latest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """How many events wait, for how long the oldest does, and those that were given up, with the reason."""
    standing, dead = _with_outbox(lambda session: (backlog(session, table), _described(session, limit)))
    if as_json:
        typer.echo(json.dumps({"waiting": standing.depth, "oldest_seconds": round(standing.age, 1), "dead": dead}))
        return
    console.print(f"{standing.depth} waiting, the oldest for {standing.age:.0f} s; {standing.dead} given up.")
    for event in dead:
        head = f"{event['id']}  {event['type']}  {event['created_at']}  tried {event['attempts']} times"
        console.print(f"{head}\n  {event['reason']}", soft_wrap=True, markup=False)


@outbox.command("replay")
def replay_command(
    id_: Annotated[UUID | None, typer.Argument(metavar="ID", help="One of `outbox list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were given up, instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let an event that was given up be tried again, from the start, or --all of them."""
    if (id_ is None) is not everything:
        raise typer.BadParameter("say an ID, or --all", param_hint="ID")
    replayed = _with_outbox(lambda session: replay(session, table, id_))
    if id_ is not None and not replayed:
        raise NothingDead(NothingDead.__doc__)
    typer.echo(json.dumps({"replayed": replayed}) if as_json else f"{replayed} will be tried again.")


def _described(session: Session, limit: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.id),
            "type": row.type,
            "created_at": instant_text(row.created_at),
            "given_up_at": instant_text(row.due_at),
            "attempts": row.attempts,
            "reason": row.error,
            "request_id": row.request_id,
        }
        for row in dead_letters(session, table, limit=limit)
    ]


def _with_outbox(act: Callable[[Session], T]) -> T:
    with operator_environment(OperatorSettings.load(), entitlements_module):
        settings = EntitlementsSettings.load()
        with closing(Database(settings.database, pool_size=1)) as database, database.transaction() as session:
            return act(session)
