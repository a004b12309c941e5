"""Settings: from `LONJA_…` environment variables, then a TOML file, then these defaults.

The file is `lonja.toml` in the working directory, or what `LONJA_CONFIG` names. A nested setting is
a table in the file and joined by two underscores in the environment: `LONJA_PAYMENTS__SEED=7`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from lonja.errors import BadSettings

SERVICES = (
    "users",
    "products",
    "inventory",
    "orders",
    "payments",
    "shipping",
    "notifications",
    "journal",
)
"""Every service, in the order in which they start."""

ROUTER_PORT = 8000
FIRST_SERVICE_PORT = 8101
"""Service i of SERVICES listens here + i, unless told otherwise."""


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def plain(self) -> dict[str, Any]:
        """As a service takes them: names and values, secrets in the clear."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self
        }


class UserSettings(Group):
    """Sign-in: what a password hash costs, how long tokens live, when an address is locked."""

    bootstrap_admin_email: str = ""
    bootstrap_admin_password: SecretStr = SecretStr("")
    access_token_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    session_seconds: Annotated[int, Field(ge=60)] = 30 * 86_400
    sign_in_failures_max: Annotated[int, Field(ge=1)] = 5
    sign_in_lock_seconds: Annotated[int, Field(ge=1)] = 900
    sign_in_failures_per_minute_max: Annotated[int, Field(ge=0)] = 30
    argon2_time_cost: Annotated[int, Field(ge=1, le=20)] = 3
    argon2_memory_kib: Annotated[int, Field(ge=8, le=4_194_304)] = 65_536
    argon2_parallelism: Annotated[int, Field(ge=1, le=64)] = 4


class PaymentSettings(Group):
    """The fake provider: which share of authorisations it declines, decided from a fixed seed."""

    provider: str = "fake"
    decline_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: int = 2017


class MailSettings(Group):
    """Where mail goes: an SMTP server, or without one a Maildir folder in the data directory."""

    smtp_host: str = ""
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 25
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_starttls: bool = False
    sender: str = "shop@lonja.example"


class AuditSettings(Group):
    """Seals of the logs. `checkpoints_dir` belongs on another machine: it proves what the databases
    say. By default it lies in the data directory. `trusted_keys` are further public keys
    (hexadecimal) whose seals are believed, after a change of key. `exports_url` is what auditors
    reach the journal at, for files of exports: by default the router under `lonja up`, and its own
    address otherwise.
    """

    seal: bool = True
    checkpoints_dir: Path | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    trusted_keys: tuple[str, ...] = ()
    exports_url: str = ""


class LogSettings(Group):
    """Every service's log: how long a request's idempotency key is answered as before, and how many
    events of a stream lie between two snapshots.
    """

    idempotency_days: Annotated[float, Field(ge=1)] = 90.0
    snapshot_events: Annotated[int, Field(ge=10)] = 200


class Settings(BaseSettings):
    """Everything that may be set.

    `database_urls` gives services databases of their own choice, on any server; `database_url`
    names a server where Lonja may create the others'. Those that have neither are in the server
    that `lonja up` embeds in `data_dir`.
    `service_urls` says where services answer that do not listen on `host` and their usual port.
    `master_key` wraps the keys of persons (docs/erasure.md); without it a file of `data_dir` does.
    """

    model_config = SettingsConfigDict(
        env_prefix="LONJA_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Field(default_factory=lambda: default_data_dir())
    database_url: str = ""
    database_urls: dict[str, str] = Field(default_factory=dict)
    host: str = "127.0.0.1"
    internal_secret: SecretStr = SecretStr("")
    master_key: SecretStr = SecretStr("")
    master_key_previous: SecretStr = SecretStr("")
    service_urls: dict[str, str] = Field(default_factory=dict)
    users: UserSettings = UserSettings()
    payments: PaymentSettings = PaymentSettings()
    mail: MailSettings = MailSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @field_validator("database_urls", "service_urls")
    @classmethod
    def _known_services(cls, urls: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(urls.keys() - set(SERVICES)):
            raise ValueError(f"no service {unknown[0]!r}: expected one of {', '.join(SERVICES)}")
        return urls

    def service_url(self, service: str) -> str:
        """Where `service` answers when it runs as a process of its own."""
        return self.service_urls.get(service, f"http://{self.host}:{service_port(service)}")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, config_file()),
        )


def service_port(service: str) -> int:
    """The port `service` listens on by default."""
    return FIRST_SERVICE_PORT + SERVICES.index(service)


def config_file() -> Path:
    """The settings file, which need not exist unless LONJA_CONFIG names it."""
    return Path(os.environ.get("LONJA_CONFIG", "lonja.toml"))


def default_data_dir() -> Path:
    """Where data is kept: root's home is closed to the account PostgreSQL runs as."""
    if os.geteuid() == 0:
        return Path("/var/lib/lonja")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "lonja"


def load(**overrides: object) -> Settings:
    """Settings of this process; `overrides` (from the command line) win. Raises BadSettings."""
    if "LONJA_CONFIG" in os.environ and not config_file().is_file():
        raise BadSettings(f"LONJA_CONFIG names {config_file()}, which is not a file")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # validated by pydantic
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{config_file()} is not valid TOML: {error}") from None
    except SettingsError as error:
        # A group or a table in one variable, that should have been JSON.
        raise BadSettings(f"settings cannot be used: {error}: {error.__cause__}") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise BadSettings(f"settings cannot be used: {wrong}") from None
