"""One option for each setting of the workers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from engine.kafka.settings import ENVIRONMENT_PREFIX, KafkaSettings, load_settings

GIVEN = "settings"
"""The parameter by which a command takes its settings."""

CONFIG = "config"
HIDDEN = frozenset({"overrides"})
"""Settings that have no option of their own."""
SECRETS_WITH_OPTION = frozenset({"redis_url"})
"""Other secrets are given in the environment or a file: a command line can be read by anybody."""


def with_kafka_settings(command: Callable[..., None], leave_out: Collection[str] = ()) -> Any:
    """Give a command one option for each setting; it takes them as `settings`.

    What the command line says goes before the environment, that before a file (`--config`).
    """
    names = [name for name in KafkaSettings.model_fields if _has_option(name, leave_out)]

    @wraps(command)
    def called(**values: Any) -> None:
        config = values.pop(CONFIG)
        given = {name: values.pop(name) for name in names}
        # What the client of the brokers logs is for workers, which have a log.
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())
        command(**values, **{GIVEN: load_settings(config, **given)})

    own = inspect.signature(command, eval_str=True)
    kept = [each for each in own.parameters.values() if each.name != GIVEN]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name)
        )
        for name in names
    ]
    config = inspect.Parameter(
        CONFIG, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_CONFIG_OPTION
    )
    vars(called)["__signature__"] = own.replace(parameters=[*kept, *options, config])
    return called


def environment_of(name: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.upper()


def flag_of(name: str) -> str:
    """The option of a setting."""
    return "--" + name.replace("_", "-")


def has_option(name: str) -> bool:
    """Whether a setting can be given on the command line."""
    return _has_option(name, ())


def _has_option(name: str, leave_out: Collection[str]) -> bool:
    if name in HIDDEN or name in leave_out:
        return False
    secret = "SecretStr" in str(KafkaSettings.model_fields[name].annotation)
    return not secret or name in SECRETS_WITH_OPTION


def default_of(name: str) -> str:
    """The default of a setting, as one would type it; empty where there is none."""
    default = KafkaSettings.model_fields[name].default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default in ("", {}):
        return ""
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _option(name: str) -> object:
    field = KafkaSettings.model_fields[name]
    default = default_of(name)
    told = f"{field.description} [{environment_of(name)}{'; else ' + default if default else ''}]"
    if name == "development":
        flags = f"{flag_of(name)}/--no-{name}"
        return Annotated[bool | None, typer.Option(flags, help=told, show_default=False)]
    option = typer.Option(flag_of(name), metavar=_metavar(name), help=told, show_default=False)
    return Annotated[str | None, option]


def _metavar(name: str) -> str:
    annotation = KafkaSettings.model_fields[name].annotation
    if annotation is int:
        return "NUMBER"
    if "Path" in str(annotation):
        return "FILE" if name.startswith("ssl") else "DIR"
    return {"brokers": "HOST:PORT", "metrics_listen": "HOST:PORT"}.get(name, "TEXT")


_CONFIG_OPTION = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A YAML file with any of these, `name: value`."),
]
