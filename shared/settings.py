"""Settings from the environment: `TICKGATE_<NAME>`, or `TICKGATE_<NAME>_FILE` naming a file that holds the value."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import AfterValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

PREFIX = "TICKGATE_"
SECRET_LENGTH = 16
NO_JSON = "this is not JSON"


class SettingsMissing(Exception):
    """A setting is missing or unusable; the message names it, one line each."""


def _private_key(value: str) -> str:
    return _key_or_refused(value, lambda pem: load_pem_private_key(pem, password=None), Ed25519PrivateKey)


def _public_key(value: str) -> str:
    return _key_or_refused(value, load_pem_public_key, Ed25519PublicKey)


def _key_or_refused(value: str, load: Callable[[bytes], object], kind: type) -> str:
    if not value:
        return value  # whoever needs one says so
    try:
        fits = isinstance(load(value.encode()), kind)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise ValueError(f"not an {kind.__name__} in PEM form")
    return value


PrivateKey = Annotated[str, AfterValidator(_private_key)]
PublicKey = Annotated[str, AfterValidator(_public_key)]


class FileSource(PydanticBaseSettingsSource):
    """Reads `TICKGATE_<NAME>_FILE`: how containers and orchestrators hand over secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the file that the environment names for this field, without its last newline."""
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        try:
            value = Path(path).read_text().strip() if path else None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsMissing(f"{variable}: the file cannot be read: {type(error).__name__}") from None
        return value, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """All values that come from files."""
        found: dict[str, Any] = {}
        for name, info in self.settings_cls.model_fields.items():
            value, key, is_json = self.get_field_value(info, name)
            if value is not None:
                found[key] = self._parsed(name, info, value) if is_json else value
        return found

    def _parsed(self, name: str, info: FieldInfo, value: str) -> Any:
        try:
            return self.decode_complex_value(name, info, value)
        except ValueError:
            raise SettingsMissing(f"{PREFIX}{name.upper()}_FILE: {NO_JSON}") from None


class Settings(BaseSettings):
    """What every process may be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="The address a server listens on.")
    port: int = Field(default=8080, ge=1, le=65535, description="The port a server listens on; the gateway's is 8080.")
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Where each process shows /metrics, and one without HTTP its /livez and /readyz; 0: nowhere.",
    )
    redis_url: str = Field(default="", description="Redis 6.2 or newer, or Valkey.")
    log_level: str = Field(default="info", description="debug, info, warning or error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first (tests), then the environment, then files."""
        return init_settings, env_settings, FileSource(settings_cls)

    @classmethod
    def load(cls) -> Self:
        """The settings from the environment; raises SettingsMissing with a line per setting that is wrong."""
        try:
            return cls()
        except ValidationError as error:
            lines = [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsMissing("\n".join(lines)) from None
        except SettingsError as error:  # its message names the field in quotes
            field = str(error).split('"')[1]
            raise SettingsMissing(f"{PREFIX}{field.upper()}: {NO_JSON}") from None


class ServiceSettings(Settings):
    """What a service's processes are told; each service names its own database in `database`."""

    identity_private_key: PrivateKey = Field(
        default="", description="This process's Ed25519 key (PEM), to call others with."
    )
    identity_public_keys: dict[str, list[PublicKey]] = Field(
        default_factory=dict, description="Issuer -> its Ed25519 public keys (PEM)."
    )
    cursor_secret: str = Field(default="", description="Signs page cursors; at least 16 characters.")

    def require_api_secrets(self) -> None:
        """Raises SettingsMissing for what only a process that answers HTTP needs."""
        missing = []
        if not self.identity_public_keys:
            missing.append(f"{PREFIX}IDENTITY_PUBLIC_KEYS: the keys whose signatures count are required")
        if len(self.cursor_secret) < SECRET_LENGTH:
            missing.append(f"{PREFIX}CURSOR_SECRET: at least {SECRET_LENGTH} characters are required")
        if missing:
            raise SettingsMissing("\n".join(missing))

    def require_signing_key(self) -> None:
        """Raises SettingsMissing for what only a process that calls other services needs."""
        if not self.identity_private_key:
            raise SettingsMissing(f"{PREFIX}IDENTITY_PRIVATE_KEY: the key to sign calls with is required")

    @property
    def database(self) -> str:
        """The URL of the service's own app role."""
        raise AttributeError(f"{type(self).__name__} names no database")

    def url_of(self, neighbour: str) -> str:
        """Where a neighbour is: `asgi://package.main` or `http://host:port`."""
        return str(getattr(self, f"{neighbour}_url"))
