"""An operator's chores beside a running platform: keys, jobs, imports, migrate, seed, bootstrap; what is refused."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from shared import __version__
from shared.coherence.stamp import MARGIN, WINDOW
from tests.cli.conftest import ROOT, chore, clean, on_a_terminal, tickgate
from tests.conftest import Stores, cloned
from tests.world import World, running_world, until

HEADER = "date,close\n"
NOBODY = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"
DAYS = [("2019-01-01", "3843.52"), ("2019-01-02", "3943.409330000000000001"), ("2019-01-04", "3858")]


@pytest.fixture(scope="module")
def world(module_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running platform whose first history is loaded."""
    with (
        running_world(module_stores, tmp_path_factory.mktemp("world")) as world,
        world.person("ops") as ops,
    ):
        until(lambda: [run for run in ops.get("/v1/jobs").json()["data"] if run["state"] == "done"], "the first run")
        yield world


@pytest.fixture
def env(world: World, tmp_path: Path) -> dict[str, str]:
    """What an operator's shell is told."""
    return {**clean(), **world.env, "TICKGATE_HOME": str(tmp_path / "home")}


def _json(*arguments: str, env: dict[str, str]) -> Any:
    result = chore(*arguments, "--json", env=env)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def _status(world: World, key: str) -> int:
    return httpx.get(f"{world.platform.url}/v1/me", headers={"X-API-Key": key}).status_code


def _refused(*arguments: str, env: dict[str, str]) -> str:
    """What stands on standard error, which has to be clear, and the status not 0."""
    result = chore(*arguments, env=env)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result.stderr.strip()


def test_a_key_is_made_listed_and_revoked(world: World, env: dict[str, str]) -> None:
    made = _json("keys", "create", "Ada", "--role", "ops", env=env)
    assert (made["name"], made["role"], _status(world, made["key"])) == ("Ada", "ops", 200)
    listed = _json("keys", "list", env=env)
    assert [(key["name"], key["role"]) for key in listed if key["id"] == made["id"]] == [("Ada", "ops")]
    assert made["key"] not in json.dumps(listed)
    assert chore("keys", "revoke", made["id"], env=env).stdout == f"The key {made['id']} is revoked.\n"
    assert _status(world, made["key"]) == 401


def test_the_audit_trails_are_verified_and_tampering_ends_in_status_1(world: World, env: dict[str, str]) -> None:
    _json("keys", "create", "Vera", "--role", "quant", env=env)
    until(lambda: all(trail["unsealed"] == 0 for trail in _json("audit", "verify", env=env)), "the seals")
    trails = {trail["trail"]: trail for trail in _json("audit", "verify", env=env)}
    assert set(trails) == {"gateway", "catalog", "entitlements"}
    assert trails["gateway"]["events"] > 0
    heads = [part for name, trail in trails.items() if trail["head"] for part in ("--head", f"{name}={trail['head']}")]
    _json("keys", "create", "Later", "--role", "quant", env=env)
    assert all(trail["ok"] for trail in _json("audit", "verify", *heads, env=env))
    missed = json.loads(chore("audit", "verify", "--head", f"gateway={'0' * 64}", "--json", env=env).stdout)
    assert [trail["broken"] and trail["broken"]["why"] for trail in missed] == ["head-missing", None, None]
    assert "TRAIL=HEAD" in _refused("audit", "verify", "--head", "gateway=x", env=env)
    with psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute("update gateway.audit_events set actor = 'x' || actor where id = 1")
        try:
            found = chore("audit", "verify", "--json", env=env)
        finally:
            owner.execute("update gateway.audit_events set actor = substr(actor, 2) where id = 1")
    broken = {trail["trail"]: trail["broken"] for trail in json.loads(found.stdout)}
    assert found.returncode == 1
    assert broken == {"gateway": {"event": 1, "seal": 1, "why": "changed"}, "catalog": None, "entitlements": None}


def test_what_was_given_up_is_listed_and_all_of_it_is_tried_again(world: World, env: dict[str, str]) -> None:
    put = """
        insert into entitlements.outbox (id, type, payload, state, attempts, error)
        values (gen_random_uuid(), 'access.lapsed', '{"recipient": "ops", "data": {}}', 'dead', 5, 'No [use]')
        returning id
    """
    with psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True) as owner:
        ids = [str(owner.execute(put).fetchall()[0][0]) for _ in range(2)]
    listed = chore("outbox", "list", env=env).stdout
    assert "; 2 given up." in listed
    for id_ in ids:
        assert f"{id_}  access.lapsed  " in listed
    assert listed.count("tried 5 times\n  No [use]\n") == 2
    for unclear in ((), (ids[0], "--all")):
        assert "say an ID, or --all" in _refused("outbox", "replay", *unclear, env=env)
    assert chore("outbox", "replay", "--all", env=env).stdout == "2 will be tried again.\n"
    until(lambda: _json("outbox", "list", env=env)["waiting"] == 0, "that they were tried")
    assert _json("outbox", "list", env=env)["dead"] == []


def test_a_key_is_rotated(world: World, env: dict[str, str]) -> None:
    old = _json("keys", "create", "Nora", "--role", "quant", env=env)
    new = _json("keys", "rotate", old["id"], "--overlap-seconds", "60", env=env)
    assert [_status(world, key["key"]) for key in (old, new)] == [200, 200]
    last = _json("keys", "rotate", new["id"], "--overlap-seconds", "0", env=env)
    assert [_status(world, key["key"]) for key in (old, new, last)] == [200, 401, 200]
    assert "was rotated already" in _refused("keys", "rotate", old["id"], env=env)


@pytest.mark.parametrize("arguments", [("revoke",), ("rotate", "--overlap-seconds", "0")])
def test_the_end_of_a_key_is_told_once_no_door_takes_it_any_more(
    world: World, env: dict[str, str], arguments: tuple[str, ...]
) -> None:
    made = _json("keys", "create", f"Ends by {arguments[0]}", "--role", "quant", env=env)
    assert _status(world, made["key"]) == 200
    command = [sys.executable, "-m", "cli", "keys", *arguments, made["id"]]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        told, status = time.time(), _status(world, made["key"])
        running.stdout.read()
    with psycopg.connect(world.env["TICKGATE_DATABASE_URL"]) as owner:
        ended = "select coalesce(revoked_at, expires_at) from gateway.api_keys where id = %s"
        ((at,),) = owner.execute(ended, [made["id"]]).fetchall()
    assert (running.returncode, status) == (0, 401)
    assert told - at.timestamp() >= WINDOW + MARGIN


def test_a_key_is_shown_whole_to_a_person_too(world: World, env: dict[str, str]) -> None:
    result = chore("keys", "create", "Grace, of the desk with a rather long name", "--role", "quant", env=env)
    shown = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if len(line.split(maxsplit=1)) == 2)
    assert shown["name"] == "Grace, of the desk with a rather long name"
    assert _status(world, shown["key"]) == 200
    listed = chore("keys", "list", env=env).stdout
    assert "last used (UTC)" in listed
    (line,) = [line for line in listed.splitlines() if shown["id"] in line]
    assert [part.strip() for part in line.strip("│").split("│")][2:4] == ["quant", "active"]


def test_an_account_gets_a_second_key(world: World, env: dict[str, str]) -> None:
    first = _json("keys", "create", "Edsger", "--role", "quant", env=env)
    second = _json("keys", "create", "--account", first["account"], env=env)
    assert (second["account"], second["name"], second["role"]) == (first["account"], "Edsger", "quant")
    assert [_status(world, made["key"]) for made in (first, second)] == [200, 200]
    chore("keys", "revoke", first["id"], env=env)
    states = {key["id"]: key["state"] for key in _json("keys", "list", env=env)}
    assert (states[first["id"]], states[second["id"]]) == ("revoked", "active")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("keys", "create", "Eve", "--role", "root"), "quant, ops or admin"),
        (("keys", "create", "Admin", "--role", "quant"), "exists already; `tickgate keys create --account ID`"),
        (("keys", "create"), "say NAME and --role, or --account"),
        (("keys", "create", "Eve", "--account", NOBODY), "has its name and role already"),
        (("keys", "create", "--account", NOBODY), "no account with this id; `tickgate keys list --json`"),
        (("keys", "create", "", "--role", "quant"), "name"),
        (("keys", "revoke", "0000000000"), "There is no API key with this id; `tickgate keys list`"),
        (("jobs", "run", "make-coffee"), "There is no job with this name. jobs: sync-prices, backfill-market-caps."),
        (
            ("jobs", "run", "backfill-market-caps", "--date", "2999-01-01"),
            "--date: a day that is not in the future; today's market cap is taken at 20:00 UTC.",
        ),
        (("jobs", "run", "backfill-market-caps", "--date", "tomorrow"), "tomorrow"),
        (("jobs", "run", "sync-prices", "--date", "2026-01-31"), "--date: no date"),
        (("import", "prices", "/no/such/file", "--dataset", "BTC", "--frequency", "1d"), "/no/such/file"),
    ],
)
def test_what_cannot_be_done_is_refused_in_clear_words(
    env: dict[str, str], arguments: tuple[str, ...], text: str
) -> None:
    assert text in _refused(*arguments, env=env)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"TICKGATE_COINCAP_API_KEY": "sch\u00fcssel"}, "TICKGATE_COINCAP_API_KEY must be printable ASCII"),
        ({"TICKGATE_CATALOG_URL": "http://127.0.0.1:9"}, "The catalog did not answer"),
        ({"TICKGATE_COINCAP_API_KEY": "key", "TICKGATE_COINCAP_URL": "http://127.0.0.1:9"}, "cannot answer now"),
    ],
)
def test_a_job_that_cannot_be_run_ends_in_clear_words_and_status_1(
    env: dict[str, str], settings: dict[str, str], text: str
) -> None:
    answer = chore("jobs", "run", "backfill-market-caps", "--date", "2026-01-30", env=env | settings)
    told = " ".join((answer.stdout + answer.stderr).split())
    assert (answer.returncode, text in told, "Traceback" in told) == (1, True, False), told


def test_both_jobs_run_by_hand(world: World, env: dict[str, str]) -> None:
    synced = _json("jobs", "run", "sync-prices", env=env)
    assert (synced["job"], synced["partial"]) == ("sync-prices", False)
    filled = _json("jobs", "run", "backfill-market-caps", "--date", "2026-01-31", env=env)
    assert (filled["partial"], filled["written"], filled["day"]) == (False, 2, "2026-01-31")
    again = _json("jobs", "run", "backfill-market-caps", "--date", "2026-01-31", env=env)
    assert (again["written"], again["held"]) == (0, 2)
    latest = _json("jobs", "run", "backfill-market-caps", env=env)["day"]
    assert latest in {(datetime.now(UTC) - timedelta(hours=20, minutes=late)).date().isoformat() for late in (0, 5)}
    with world.person("ops") as ops:
        runs = ops.get("/v1/jobs", params={"job": "backfill-market-caps"}).json()["data"]
    assert [(run["state"], run["attempts"]) for run in runs if run["slot"] == "2026-01-31T20:00:00Z"] == [("done", 2)]


def test_a_file_is_imported_whole_and_a_bad_line_is_named(world: World, env: dict[str, str], tmp_path: Path) -> None:
    good, bad, series = tmp_path / "good.csv", tmp_path / "bad.csv", ("--dataset", "ETH", "--frequency", "1d")
    good.write_text(HEADER + "".join(f"{day},{price}\n" for day, price in DAYS))
    bad.write_text(HEADER + "2019-01-01,3843.52\n2019-01-02,much\n")
    assert _refused("import", "prices", str(bad), *series, env=env).startswith("line 3: the price")
    counts = _json("import", "prices", str(good), *series, env=env)
    assert (counts["dataset"], counts["frequency"], counts["inserted"]) == ("ETH", "1d", 3)
    assert _json("import", "prices", str(good), *series, env=env)["unchanged"] == 3
    with world.person("ops") as ops:
        covered = ops.get("/v1/datasets/ETH/coverage").json()["data"][0]
    assert (covered["rows"], covered["source"], covered["gaps"][0]["missing"]) == (3, "imported", 1)


def test_long_work_shows_how_far_it_is_on_a_terminal_and_is_quiet_elsewhere(
    env: dict[str, str], tmp_path: Path
) -> None:
    file, first = tmp_path / "hours.csv", datetime(2000, 1, 1, tzinfo=UTC)
    rows = [f"{first + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{n + 1}.5\n" for n in range(110_000)]
    file.write_text("time,close\n" + "".join(rows))
    series = ("--dataset", "BTC", "--frequency", "1h", "--replace")
    status, shown = on_a_terminal("import", "prices", str(file), *series, env=env)
    assert status == 0
    assert re.search(r"rows .* (90|91)%", shown)  # the first hundred thousand
    command = ("jobs", "run", "sync-prices")
    status, shown = on_a_terminal(*command, env=env)
    assert status == 0
    assert re.search(r"sync-prices.*━", shown)
    assert chore(*command, env=env).stderr == ""


def test_migrate_and_seed_may_be_repeated(env: dict[str, str]) -> None:
    before = _json("keys", "list", env=env)
    assert chore("migrate", env=env).stdout == "The database is up to date.\n"
    assert chore("seed", env=env).stdout.startswith("Nothing was made")
    assert _json("keys", "list", env=env) == before


@pytest.fixture
def keyring(world: World, tmp_path: Path) -> dict[str, str]:
    """What the gateway's container is told of the keys, and nothing else."""
    names = ("TICKGATE_GATEWAY_DATABASE_URL", "TICKGATE_KEY_PEPPER")
    return {**clean(), "TICKGATE_HOME": str(tmp_path / "none"), **{name: world.env[name] for name in names}}


def test_a_chore_needs_its_own_settings_only_and_leaves_the_rest_alone(
    world: World, env: dict[str, str], keyring: dict[str, str]
) -> None:
    def epochs() -> object:
        with psycopg.connect(world.env["TICKGATE_DATABASE_URL"]) as owner:
            both = "select epoch from gateway.coherence union all select epoch from entitlements.coherence"
            return owner.execute(both).fetchall()

    before = epochs()
    made = _json("keys", "create", "Barbara", "--role", "quant", env=keyring)
    assert _status(world, made["key"]) == 200
    assert made["id"] in {key["id"] for key in _json("keys", "list", env=keyring)}
    assert chore("keys", "revoke", made["id"], env=keyring).returncode == 0
    assert _status(world, made["key"]) == 401
    trails = {name: url for name, url in world.env.items() if name.endswith("_DATABASE_URL")}
    assert len(_json("audit", "verify", env={**clean(), **trails})) == 3
    assert _json("keys", "list", env=env)
    assert epochs() == before  # whoever remembers answers goes on
    assert not Path(keyring["TICKGATE_HOME"]).exists()


def test_what_a_chore_lacks_is_named(world: World, keyring: dict[str, str]) -> None:
    pepperless = {name: value for name, value in keyring.items() if not name.endswith("PEPPER")}
    assert _refused("keys", "list", env=pepperless).startswith("TICKGATE_KEY_PEPPER: ")
    assert _refused("outbox", "list", env=keyring) == "TICKGATE_ENTITLEMENTS_DATABASE_URL: needed for this"
    assert _refused("migrate", env=keyring).startswith("TICKGATE_DATABASE_URL: ")


def test_a_chore_of_another_version_does_not_migrate(keyring: dict[str, str]) -> None:
    with cloned() as stores:
        with psycopg.connect(stores.database_url, autocommit=True) as owner:
            owner.execute("update gateway.migrations set version_num = '0001'")
        keyring["TICKGATE_GATEWAY_DATABASE_URL"] = stores.app_url("gateway")
        assert "run `tickgate migrate`" in _refused("keys", "list", env=keyring)


def test_a_database_that_is_not_there_is_one_clear_line(env: dict[str, str]) -> None:
    url = "postgresql://tickgate:hush@127.0.0.1:9/tickgate"
    refusal = _refused("migrate", env={**env, "TICKGATE_DATABASE_URL": url})
    assert len(refusal.splitlines()) == 1
    assert "127.0.0.1" in refusal
    assert "hush" not in refusal


@pytest.mark.parametrize(("which", "roles"), [("all", {"admin", "ops", "quant"}), ("admin", {"admin"})])
def test_bootstrap_makes_the_keys_once_and_prints_the_same_box_again(
    world: World, env: dict[str, str], which: str, roles: set[str], tmp_path: Path
) -> None:
    home = tmp_path / "keys"
    home.mkdir()
    with cloned() as stores:
        own = {"HOME": str(home), "BOOTSTRAP": which, "GATEWAY_URL": world.platform.url, "PUBLIC_URL": "http://here"}
        env = {**env, **stores.environment(), **{f"TICKGATE_{name}": value for name, value in own.items()}}
        first, second = chore("bootstrap", env=env), chore("bootstrap", env=env)
        listed = _json("keys", "list", env=env)
    keys = json.loads((home / "keys.json").read_text())
    assert set(keys) == {key["role"] for key in listed} == roles
    assert len(listed) == len(roles)
    assert first.stdout == second.stdout
    assert all(f"{role:<6} {key}" in first.stdout for role, key in keys.items())
    assert first.stdout.splitlines()[1].startswith("│ Tickgate serves at http://here")


def test_seed_says_what_it_made(env: dict[str, str]) -> None:
    with cloned() as stores:
        said = chore("seed", env={**env, **stores.environment()}).stdout.splitlines()
    assert said == [
        "Offered: BTC, ETH.",
        f"Keys made: admin, ops, quant; they are in {env['TICKGATE_HOME']}/keys.json.",
    ]


def test_the_main_help_is_for_people_and_the_version_is_told() -> None:
    told = tickgate("--help", env=clean()).stdout
    assert all(name in told for name in ("doctor", "seed", "keys"))
    assert all(name not in told for name in ("bootstrap", "secrets"))
    assert tickgate("--version", env=clean()).stdout == f"tickgate {__version__}\n"
