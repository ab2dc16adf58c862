"""The containers' secrets: made once, each file where only the process that needs it can read it."""

import json
import os
import secrets
from pathlib import Path

from cli.settings import ISSUERS, PREFIX, SCHEMAS
from shared.identity import new_key_pair

DATABASE = "tickgate"
REDIS_CONFIG = """\
requirepass {password}
appendonly yes
maxmemory-policy noeviction
dir /data
"""


def write_secrets(root: Path) -> None:
    """Fill a folder for each process below `root`, unless it was done before.

    A value that the environment gives (`TICKGATE_KEY_PEPPER`, for example) is taken instead of a random one.
    """
    done = root / "migrate" / "database_url"  # written last
    if done.exists():
        return
    for path, content in _files().items():
        _write(root / path, content)
    _write(done, _url(DATABASE, (root / "postgres" / "password").read_text()))


def _write(file: Path, content: str) -> None:
    """Whole or not at all, also over what an interrupted run has left."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    draft.write_text(content)
    draft.chmod(0o444)  # PostgreSQL and Redis run as other users; the volume is what keeps others out
    draft.replace(file)


def _files() -> dict[str, str]:
    """All contents by path; the owner's URL is left for the end."""
    redis_password, pairs = _random("redis_password"), {issuer: new_key_pair() for issuer in ISSUERS}
    urls = {schema: _url(f"{DATABASE}_{schema}_app", _random(f"{schema}_password")) for schema in SCHEMAS}
    public_keys = json.dumps({issuer: [public] for issuer, (_, public) in pairs.items()})
    pepper = _random("key_pepper")
    files = {
        "postgres/password": _random("postgres_password"),
        "redis/password": redis_password,
        "redis/redis.conf": REDIS_CONFIG.format(password=redis_password),
        "notifier/redis_url": f"redis://:{redis_password}@redis:6379/0",
        "notifier/entitlements_database_url": urls["entitlements"],
        "announcer/entitlements_database_url": urls["entitlements"],
        "announcer/identity_private_key": pairs["entitlements"][0],
        "scheduler/pricing_database_url": urls["pricing"],
        "scheduler/identity_private_key": pairs["pricing"][0],
        "bootstrap/catalog_database_url": urls["catalog"],
        "bootstrap/gateway_database_url": urls["gateway"],
        "bootstrap/key_pepper": pepper,
        "gateway/key_pepper": pepper,
        "gateway/redis_url": f"redis://:{redis_password}@redis:6379/0",
    }
    for schema, url in urls.items():
        files[f"migrate/{schema}_database_url"] = url
        files[f"{schema}/{schema}_database_url"] = url
        files[f"{schema}/identity_public_keys"] = public_keys
        files[f"{schema}/cursor_secret"] = secrets.token_hex(32)
        if schema in pairs:
            files[f"{schema}/identity_private_key"] = pairs[schema][0]
    return files


def _random(name: str) -> str:
    return os.environ.get(f"{PREFIX}{name.upper()}") or secrets.token_hex(32)


def _url(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@postgres:5432/{DATABASE}"
