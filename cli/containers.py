"""The containers' secrets: made once, each file where only the process that needs it can read it."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cli.settings import ISSUERS, PREFIX, SCHEMAS
from shared.identity import new_key_pair
from shared.settings import SettingsMissing

DATABASE = "tickgate"
PEPPERED = ("gateway", "bootstrap")  # those who digest keys
PEPPER_FILES = ("key_pepper", "key_pepper_version", "key_peppers_old")
LATER = {  # files that earlier versions did not write, and whose they are the same as
    "announcer/entitlements_database_url": "entitlements/entitlements_database_url",
    "announcer/identity_private_key": "entitlements/identity_private_key",
    "entitlements/webhook_key": "notifier/webhook_key",
    "notifier/webhook_key": "entitlements/webhook_key",
}
REDIS_CONFIG = """\
requirepass {password}
appendonly yes
maxmemory-policy noeviction
dir /data
"""


def write_secrets(root: Path) -> None:
    """Fill a folder for each process below `root`, unless it was done before; then only peppers may change.

    What came with a later version is added to volumes of an earlier one. A value that the environment gives
    (`TICKGATE_KEY_PEPPER`, for example) is taken instead of a random one.
    """
    done = root / "migrate" / "database_url"  # written last
    if done.exists():
        _write_missing(root)
        _write_peppers(root, _next(_peppers(root)))
        return
    for path, content in _files().items():
        _write(root / path, content)
    _write_peppers(root, Peppers(_random("key_pepper"), _version(), _numbered(_told("key_peppers_old", "{}"))))
    _write(done, _url(DATABASE, (root / "postgres" / "password").read_text()))


@dataclass(frozen=True)
class Peppers:
    """The present pepper with its version, and the others that keys may still be under."""

    present: str
    version: int
    others: dict[int, str]


def _next(peppers: Peppers) -> Peppers:
    """Under a higher version than before the pepper is a new one, and the one before is kept beside it."""
    version = max(_version(), peppers.version)
    half_done = peppers.present in peppers.others.values()
    if version == peppers.version and not half_done:
        return peppers
    others = peppers.others if half_done else {**peppers.others, peppers.version: peppers.present}
    return Peppers(_random("key_pepper"), version, others)


def _write_missing(root: Path) -> None:
    """Give each process what it did not need when the volumes were made: a copy of another's, or else a new secret."""
    for path, source in LATER.items():
        of_another = root / source
        if not (root / path).exists():
            _write(root / path, of_another.read_text() if of_another.exists() else _random(of_another.name))


def _version() -> int:
    told = _told("key_pepper_version", "1")
    if not told.isdigit():
        raise SettingsMissing(f"{PREFIX}KEY_PEPPER_VERSION: not a number")
    return int(told)


def _peppers(root: Path) -> Peppers:
    present, version, others = ((root / PEPPERED[0] / name).read_text() for name in PEPPER_FILES)
    return Peppers(present, int(version), _numbered(others))


def _numbered(text: str) -> dict[int, str]:
    try:
        return {int(version): str(pepper) for version, pepper in json.loads(text).items()}
    except (ValueError, AttributeError):
        raise SettingsMissing(f"{PREFIX}KEY_PEPPERS_OLD: not a JSON object of versions") from None


def _write_peppers(root: Path, peppers: Peppers) -> None:
    """The old ones first and the present one last: interrupted at any point, none is lost, and the next run goes on."""
    contents = (peppers.present, str(peppers.version), json.dumps(peppers.others))
    for process in PEPPERED:
        for name, content in reversed(list(zip(PEPPER_FILES, contents, strict=True))):
            _write(root / process / name, content)


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
    webhook_key = _random("webhook_key")
    files = {
        "postgres/password": _random("postgres_password"),
        "redis/password": redis_password,
        "redis/redis.conf": REDIS_CONFIG.format(password=redis_password),
        "notifier/redis_url": f"redis://:{redis_password}@redis:6379/0",
        "notifier/webhook_key": webhook_key,
        "entitlements/webhook_key": webhook_key,
        "notifier/entitlements_database_url": urls["entitlements"],
        "announcer/entitlements_database_url": urls["entitlements"],
        "announcer/identity_private_key": pairs["entitlements"][0],
        "scheduler/pricing_database_url": urls["pricing"],
        "scheduler/identity_private_key": pairs["pricing"][0],
        "bootstrap/catalog_database_url": urls["catalog"],
        "bootstrap/gateway_database_url": urls["gateway"],
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
    return _told(name) or secrets.token_hex(32)


def _told(name: str, default: str = "") -> str:
    return os.environ.get(f"{PREFIX}{name.upper()}") or default


def _url(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@postgres:5432/{DATABASE}"
