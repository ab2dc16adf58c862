"""The embedded mode's secrets: made once, kept in its home, readable by nobody else."""

import json
import secrets
from pathlib import Path

from cli.embedded.account import write_private
from cli.settings import ISSUERS, SCHEMAS
from shared.identity import new_key_pair


def embedded_secrets(home: Path, database_url: str) -> dict[str, str]:
    """The settings that hold secrets; whatever the home does not hold yet is made now.

    The app roles' names carry the database's name, so that two databases of one server do not share roles.
    """
    file = home / "secrets.json"
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    fresh = _fresh()
    if fresh.keys() - kept.keys():
        kept = {**fresh, **kept}
        write_private(file, json.dumps(kept, indent=2))
    address, _, database = database_url.rpartition("@")[2].partition("/")
    urls = {
        f"TICKGATE_{schema.upper()}_DATABASE_URL": (
            f"postgresql://{database}_{schema}_app:{kept['database_password']}@{address}/{database}"
        )
        for schema in SCHEMAS
    }
    return {
        **urls,
        **{f"TICKGATE_{name.upper()}": value for name, value in kept.items() if name != "database_password"},
    }


def _fresh() -> dict[str, str]:
    private, public = new_key_pair()
    return {
        "database_password": secrets.token_hex(24),
        "key_pepper": secrets.token_hex(32),
        "webhook_key": secrets.token_hex(32),
        "cursor_secret": secrets.token_hex(32),
        "identity_private_key": private,
        "identity_public_keys": json.dumps({issuer: [public] for issuer in ISSUERS}),
    }
