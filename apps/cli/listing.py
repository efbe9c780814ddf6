"""Every setting as a line: name, environment variable, present value, default, meaning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from tickhouse.settings import Settings, environment_names

_ENV_HEAD = """\
# Every setting as a variable of the environment. Copy this file to .env and take away the # of what you change.
# The environment wins over .env, and .env over tickhouse.yaml. null unsets what may be unset."""


@dataclass(frozen=True)
class SettingLine:
    """One setting. `value` and `default` are as JSON has them; None is unset."""

    path: tuple[str, ...]
    variable: str
    value: Any
    default: Any
    meaning: str

    @property
    def name(self) -> str:
        return ".".join(self.path)


def list_settings(settings: Settings) -> list[SettingLine]:
    """Every setting there is, in the order of `tickhouse.settings`."""
    values = settings.model_dump(mode="json")
    return [_line(path, variable, values) for variable, path in environment_names().items()]


def print_settings(lines: Sequence[SettingLine], shape: str) -> None:
    """Print them as `text` for a person, or as a file's: `yaml`, `env` or `markdown`."""
    if shape == "text":
        Console(highlight=False).print(as_text(lines))
    else:
        typer.echo({"yaml": as_yaml, "env": as_env_file, "markdown": as_markdown}[shape](lines))


def as_text(lines: Sequence[SettingLine]) -> Text:
    """A list for a terminal; a value that is not the default says so."""
    text = Text("Set one in tickhouse.yaml by its name, or in the environment by its variable.\n")
    for line in lines:
        text.append(f"\n{line.name}", "bold").append(f" = {_text(line.value)}")
        if line.value != line.default:
            text.append(f"  (default {_text(line.default)})", "yellow")
        text.append(f"\n  {line.meaning}\n").append(f"  {line.variable}\n", "dim")
    return text


def as_markdown(lines: Sequence[SettingLine]) -> str:
    """A table of names, variables, defaults and meanings, without the present values."""
    rows = [f"| `{line.name}` | `{line.variable}` | {_code(line.default)} | {line.meaning} |" for line in lines]
    return "\n".join(["| setting | environment variable | default | meaning |", "| --- | --- | --- | --- |", *rows])


def as_yaml(lines: Sequence[SettingLine]) -> str:
    """A complete tickhouse.yaml with the present values, each under its meaning."""
    written: list[str] = []
    above: tuple[str, ...] = ()
    for line in lines:
        groups = line.path[:-1]
        written += [f"{'  ' * depth}{name}:" for depth, name in enumerate(groups) if groups[: depth + 1] != above[: depth + 1]]
        above = groups
        indent = "  " * len(groups)
        written += [f"{indent}# {line.meaning}", f"{indent}{line.path[-1]}: {json.dumps(line.value)}"]
    return "\n".join(written)


def as_env_file(lines: Sequence[SettingLine]) -> str:
    """A .env with every variable commented out at its default, each under its meaning."""
    entries = [f"# {line.meaning}\n# {line.variable}={_env_text(line.default)}" for line in lines]
    return "\n\n".join([_ENV_HEAD, *entries])


def _line(path: tuple[str, ...], variable: str, values: dict[str, Any]) -> SettingLine:
    model: type[BaseModel] = Settings
    for name in path[:-1]:
        model, values = model.model_fields[name].annotation, values[name]  # type: ignore[assignment]
    field = model.model_fields[path[-1]]
    default = json.loads(json.dumps(field.default, default=str))
    return SettingLine(path, variable, values[path[-1]], default, field.description or "")


def _text(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, list):
        return ", ".join(each if isinstance(each, str) else json.dumps(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _env_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _code(value: Any) -> str:
    text = _text(value)
    return text if value is None else f"`{text}`"
