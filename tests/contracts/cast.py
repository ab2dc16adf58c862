"""Who knocks at the gateway, and what there is for each of them: something for every operation that uses it up."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Stores
from tests.world import running_world, until

PEERS = ("quant A", "quant B")
READ = "BTC"
ALL = ("1h", "1d", "1mo")
RECEIVER = "https://receiver.invalid/"


@dataclass
class Person:
    """Somebody with a key; the addresses of what is there to be used up; ids for bodies; ids that have to stay."""

    key: str
    client: httpx.Client
    things: list[str] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """The answer, which has to be a yes."""
        answer = self.client.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    def first(self, path: str) -> str:
        """The id of the first in a list, once there is one."""
        return str(until(lambda: self.ask("GET", path)["data"], path)[0]["id"])

    def gives(self, account: str, dataset: str, *frequencies: str) -> list[str]:
        """The ids of new grants."""
        wanted = {"account": account, "dataset": dataset, "frequencies": frequencies, "reason": "Signed contract"}
        return [grant["id"] for grant in self.ask("POST", "/v1/grants", **wanted)["data"]]

    def asks_for(self, dataset: str, frequency: str) -> str:
        """The id of a new request."""
        return str(self.ask("POST", "/v1/access-requests", dataset=dataset, frequencies=[frequency])["id"])


@dataclass(frozen=True)
class Cast:
    """The people, by name, at the gateway's URL."""

    url: str
    people: dict[str, Person]
    enter: Callable[[str], Person]

    def make_things(self, name: str) -> Person:
        """Somebody whose turn it is, with things that nobody has used up."""
        one = self.people[name]
        other = self.people["admin" if name == "ops" else "ops"]  # nobody decides for themselves
        symbol = name.upper().replace(" ", "")
        other.ask("POST", "/v1/datasets", symbol=symbol, name=f"For {name}", frequencies=ALL)
        _has_things(one, other, symbol)
        if name not in PEERS:
            clients = (self.enter(f"{who} of {name}") for who in ("Client", "Debtor", "Leaver"))
            _finds_others(one, symbol, *clients)
        return one


@contextmanager
def cast_of(stores: Stores, folder: Path) -> Iterator[Cast]:
    """Two Quants, Ops and the admin, who may read and are told of it, on a running platform."""
    with running_world(stores, folder) as world, ExitStack() as stack:

        def person(key: str) -> Person:
            client = httpx.Client(base_url=world.platform.url, headers={"X-API-Key": key}, timeout=20)
            return Person(key, stack.enter_context(client))

        def newcomer(name: str) -> Person:
            return person(admin.ask("POST", "/v1/api-keys", name=name, role="quant")["key"])

        admin, ops = person(world.keys["admin"]), person(world.keys["ops"])
        people = {name: newcomer(name) for name in PEERS} | {"ops": ops, "admin": admin}
        for one in people.values():
            _may_read(one, admin if one is ops else ops)
        until(lambda: ops.ask("GET", f"/v1/datasets/{READ}/prices?frequency=1mo")["data"], "prices")
        world.platform.children["worker"].stop()  # receivers that are made up are not called
        yield Cast(world.platform.url, people, newcomer)


def _may_read(one: Person, other: Person) -> None:
    """What everybody has, and keeps."""
    me = one.ask("GET", "/v1/me")
    hook = one.ask("POST", "/v1/webhooks", url=RECEIVER)["id"]
    read = other.gives(me["account"], READ, *ALL)
    one.kept = [me["account"], me["key"]["id"], hook, *read, READ]
    one.things = [
        f"/v1/grants/{read[0]}",
        f"/v1/notifications/{one.first('/v1/notifications')}/read",
        f"/v1/webhooks/{hook}/rotate",
        f"/v1/webhooks/{hook}/deliveries",
        f"/v1/webhooks/{hook}/deliveries/{one.first(f'/v1/webhooks/{hook}/deliveries')}/replay",
    ]


def _has_things(one: Person, other: Person, symbol: str) -> None:
    """What everybody has of their own, to be used up."""
    [given_back] = other.gives(one.ask("GET", "/v1/me")["account"], symbol, "1h")
    withdrawn, answered = one.asks_for(symbol, "1d"), one.asks_for(symbol, "1mo")
    other.ask("POST", f"/v1/access-requests/{answered}/question", text="Which desk is this for?")
    one.things += [
        f"/v1/access-requests/{withdrawn}",
        f"/v1/access-requests/{withdrawn}/withdraw",
        f"/v1/access-requests/{answered}/answer",
        f"/v1/grants/{given_back}/relinquish",
        f"/v1/webhooks/{one.ask('POST', '/v1/webhooks', url=RECEIVER)['id']}",
    ]


def _finds_others(one: Person, symbol: str, client: Person, debtor: Person, leaver: Person) -> None:
    """What Ops and admins find of others: a client, accounts to be blocked and closed, keys, a dataset."""
    buying, owing, leaving = (person.ask("GET", "/v1/me") for person in (client, debtor, leaver))
    revoked, kept, extended = one.gives(buying["account"], symbol, *ALL)
    asked, decided, judged = (client.asks_for(READ, frequency) for frequency in ALL)
    one.things += [
        f"/v1/access-requests/{asked}/question",
        f"/v1/access-requests/{decided}/decisions",
        f"/v1/grants/{revoked}/revoke",
        f"/v1/grants/{kept}/keep",
        f"/v1/grants/{extended}/extend",
        f"/v1/accounts/{buying['account']}",
        f"/v1/accounts/{owing['account']}/block",
        f"/v1/accounts/{buying['account']}/unblock",
        f"/v1/accounts/{leaving['account']}/close",
        f"/v1/api-keys/{leaving['key']['id']}",
        f"/v1/api-keys/{owing['key']['id']}/rotate",
        f"/v1/datasets/{symbol}/frequencies/1h",
    ]
    one.kept += [buying["account"]]
    one.bodies = {"DirectGrant": owing["account"], "Decisions": judged}
