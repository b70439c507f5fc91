"""One option and one environment variable for each setting of the engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from engine.rules.setting_values import Setting
from engine.rules.settings import list_settings

GIVEN = "overrides"
"""The parameter by which a command takes the settings that were given."""


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting; it takes them as `overrides`, by dotted name.

    What stands in the environment counts as given; an option of the command line beats it.
    """
    settings = {_parameter(setting): setting.name for setting in list_settings()}

    @wraps(command)
    def called(**values: Any) -> None:
        given = {
            name: values.pop(parameter)
            for parameter, name in settings.items()
            if values[parameter] is not None
        }
        rest = {name: value for name, value in values.items() if name not in settings}
        command(**rest, **{GIVEN: given})

    own = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(
            _parameter(setting),
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_option(setting),
        )
        for setting in list_settings()
    ]
    kept = [parameter for parameter in own.parameters.values() if parameter.name != GIVEN]
    vars(called)["__signature__"] = own.replace(parameters=[*kept, *options])
    return called


def _parameter(setting: Setting) -> str:
    return setting.name.replace(".", "_")


def _option(setting: Setting) -> object:
    told = f"{setting.help} [engine.yaml: {setting.name}; else {setting.default}]"
    option = typer.Option(
        setting.flag,
        envvar=setting.environment,
        metavar=setting.place_holder,
        help=told,
        show_default=False,
    )
    return Annotated[str | None, option]
