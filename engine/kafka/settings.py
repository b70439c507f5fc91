"""Settings of the workers: declared once; flags go before the environment, that before a file."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine.contracts.errors import UsageError

SOURCE_PATTERN: Final = r"[A-Za-z0-9._-]{1,200}"
ENVIRONMENT_PREFIX: Final = "SELLABLE_KAFKA_"
CLEAR_TEXT: Final = frozenset({"PLAINTEXT", "SASL_PLAINTEXT"})
SASL: Final = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})

DEFAULT_PARTITIONS: Final = 12
DEFAULT_REPLICATION: Final = 3
DEVELOPMENT_REPLICATION: Final = 1
MAX_PARTITIONS: Final = 1_024

KIB: Final = 1024
MAX_ENVELOPE_BYTES: Final = 900 * KIB
"""Longest body of an envelope with more than one movement, so that one fits a broker's default
`message.max.bytes` (1 MiB); a movement that is longer than that travels alone."""


class SettingsError(UsageError):
    """The settings of a worker cannot be used; nothing was started."""

    title = "The settings cannot be used"


class ClearTextError(SettingsError):
    """Stock movements and passwords would go over the network readable for anybody."""

    title = "Refused to talk in clear text"


class KafkaSettings(BaseSettings):
    """What a worker needs to know. Every field has its environment variable `SELLABLE_KAFKA_NAME`.

    Raises `pydantic.ValidationError`; `load_settings` makes an error for people of it.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    brokers: str = Field(
        "localhost:9092", min_length=1, description="The brokers: HOST:PORT, comma separated."
    )
    rules: Path = Field(Path("rules"), description="The rules folder.")
    data: Path = Field(Path("data"), description="This worker's own data folder.")
    development: bool | None = Field(
        None,
        description="Allow clear text and one copy of everything; left out: only when all brokers"
        " are on this machine.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in at the brokers."
    )
    sasl_username: str | None = Field(None, description="Who logs in at the brokers.")
    sasl_password: SecretStr | None = Field(
        None, description="The password; rather in the environment or a file than as a flag."
    )
    ssl_cafile: Path | None = Field(
        None, description="Certificates of the authorities to trust; left out: the system's."
    )
    ssl_certfile: Path | None = Field(None, description="This worker's certificate.")
    ssl_keyfile: Path | None = Field(None, description="The key of this worker's certificate.")
    ssl_key_password: SecretStr | None = Field(None, description="The password of that key.")
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=100,
        description="Put before every topic and group, for several engines on one cluster.",
    )
    partitions: int = Field(
        DEFAULT_PARTITIONS,
        ge=1,
        le=MAX_PARTITIONS,
        description="Partitions of the ledger, fixed when its topics are created.",
    )
    replication: int = Field(
        0, ge=0, le=9, description="Copies of every topic; 0: 3, in development 1."
    )
    sources: Annotated[tuple[str, ...], NoDecode] = Field(
        ("pos", "wms", "returns", "oms"),
        description="Topics movements.NAME to create; every other movements.* is read as well.",
    )
    instance_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="This worker's name, unique and kept through restarts; left out: made of the"
        " host's name and the data folder.",
    )
    session_timeout_ms: int = Field(
        10_000, ge=500, description="A worker that is silent for so long is taken for dead."
    )
    request_timeout_ms: int = Field(
        20_000, ge=1_000, description="How long to wait for an answer of a broker."
    )
    linger_ms: int = Field(
        20, ge=0, le=1_000, description="How long a movement waits for others before it goes on."
    )
    envelope_movements: int = Field(
        500, ge=1, le=5_000, description="Movements in one envelope, at most."
    )
    envelope_bytes: int = Field(
        MAX_ENVELOPE_BYTES,
        ge=KIB,
        le=MAX_ENVELOPE_BYTES,
        description="Bytes of movements in one envelope, at most.",
    )
    compression: Literal["none", "lz4", "zstd", "snappy", "gzip"] = Field(
        "zstd", description="How what workers write is compressed."
    )
    overrides: dict[str, str] = Field(
        {}, description="Settings in place of those of engine.yaml, by dotted name."
    )
    metrics_listen: str | None = Field(
        None, description="Where Prometheus finds this worker's metrics: HOST:PORT."
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="The Redis of the read model."
    )
    redis_prefix: str = Field("sellable", min_length=1, description="Before every key in Redis.")

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr) -> SecretStr:
        from redis.asyncio import ConnectionPool  # most commands do not need it

        url = value.get_secret_value()
        try:  # the client itself says what it takes; nothing is opened yet
            ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            raise ValueError(
                "an address such as redis://127.0.0.1:6379/0 is expected, with options that the "
                "client of Redis knows"
            ) from error
        return value

    @model_validator(mode="before")
    @classmethod
    def _split_sources(cls, values: dict[str, Any]) -> dict[str, Any]:
        given = values.get("sources")
        if isinstance(given, str):
            names = tuple(name.strip() for name in given.split(",") if name.strip())
            return {**values, "sources": names}
        return values

    @field_validator("sources")
    @classmethod
    def _check_sources(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(SOURCE_PATTERN, name):
                raise ValueError(f"{name!r}: letters, digits and . _ - make the name of a topic")
        return names

    @model_validator(mode="after")
    def _check_security(self) -> KafkaSettings:
        if self.security_protocol in SASL and (
            self.sasl_username is None or self.sasl_password is None
        ):
            raise ValueError(f"{self.security_protocol} needs sasl_username and sasl_password")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile go together")
        return self

    # --- derived -------------------------------------------------------------------------------

    @property
    def in_development(self) -> bool:
        """Whether clear text and single copies are allowed."""
        if self.development is not None:
            return self.development
        return all(_is_local(_host(broker)) for broker in self.bootstrap)

    @property
    def bootstrap(self) -> list[str]:
        """The brokers, one by one."""
        return [broker.strip() for broker in self.brokers.split(",") if broker.strip()]

    @property
    def copies(self) -> int:
        """Copies of every topic."""
        if self.replication:
            return self.replication
        return DEVELOPMENT_REPLICATION if self.in_development else DEFAULT_REPLICATION

    @property
    def worker_id(self) -> str:
        """This worker's name: the same after a restart with the same data folder."""
        if self.instance_id is not None:
            return self.instance_id
        folder = hashlib.sha256(str(self.data.resolve()).encode()).hexdigest()[:8]
        return f"{socket.gethostname()}-{folder}"

    def topic(self, name: str) -> str:
        """The name of a topic on the cluster."""
        return self.topic_prefix + name

    def group(self, kind: str) -> str:
        """The consumer group of a kind of worker: `sellable-ingest`."""
        return f"{self.topic_prefix}sellable-{kind}"

    def refuse_clear_text(self) -> None:
        """Checks that nothing secret goes over a network in clear text.

        Raises:
            ClearTextError: the brokers or Redis would be talked to in clear text.
        """
        if self.in_development:
            return
        if self.security_protocol in CLEAR_TEXT:
            raise ClearTextError(
                f"the brokers {self.brokers} would be talked to in clear text "
                f"({self.security_protocol})",
                "Set --security-protocol SASL_SSL or SSL, or, on a network of your own only, "
                "--development.",
            )

    def refuse_clear_redis(self) -> None:
        """Checks that Redis is not talked to in clear text over a network.

        Raises:
            ClearTextError: it would be.
        """
        url = urlsplit(self.redis_url.get_secret_value())
        local = url.scheme == "unix" or _is_local(url.hostname or "")
        if url.scheme != "rediss" and not local and not self.in_development:
            raise ClearTextError(
                f"the Redis at {url.hostname} would be talked to in clear text",
                "Use a rediss:// address, or, on a network of your own only, --development.",
            )


class _GivenFile(PydanticBaseSettingsSource):
    """Settings of a YAML file."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """The value of one field, from the file."""
        del field
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def load_settings(config: Path | None = None, **flags: object) -> KafkaSettings:
    """The settings: what the flags say (None: not given), else the environment, else the file.

    Raises:
        SettingsError: something in them cannot be used; all mistakes at once.
        ClearTextError: they would send stock and passwords over a network in clear text.
    """
    values = _read(config) if config is not None else {}

    class WithFile(KafkaSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, _GivenFile(settings_cls, values)

    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        settings: KafkaSettings = WithFile(**given)
    except ValidationError as error:
        raise SettingsError(
            _mistakes(error), "Each command lists its settings: sellable worker ledger --help."
        ) from error
    settings.refuse_clear_text()
    return settings


def _read(config: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{config} is no YAML: {error}", "Write `name: value` lines."
        ) from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise SettingsError(f"{config} holds no settings", "Write `name: value` lines.")
    return values


def _mistakes(error: ValidationError) -> str:
    told = []
    for mistake in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in mistake["loc"])
        reason = mistake["msg"].removeprefix("Value error, ")
        known = (
            ", ".join(KafkaSettings.model_fields) if mistake["type"] == "extra_forbidden" else ""
        )
        told.append(f"{name}: {reason}" if name else reason)
        if known:
            told.append(f"  known are {known}")
    return "\n".join(told)


def _host(broker: str) -> str:
    return broker.rpartition(":")[0].strip("[]")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
