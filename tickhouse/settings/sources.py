"""Where settings are given: the environment, `.env` and tickhouse.yaml."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml  # type: ignore[import-untyped]
from dotenv import dotenv_values
from pydantic import BaseModel

PREFIX = "TICKHOUSE_"
CONFIG_VARIABLE = "TICKHOUSE_CONFIG"
DEFAULT_CONFIG = Path("tickhouse.yaml")
ENV_FILE = Path(".env")
UNSET = "null"
"""What a variable says to unset a setting that may be unset; an empty variable counts as none."""

_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


def process_environment() -> dict[str, str]:
    """This process's environment less tickhouse's own variables: the base of a child's environment."""
    return {name: value for name, value in os.environ.items() if not _is_ours(name)}


def read_variables(env_file: Any = ENV_FILE) -> dict[str, str]:
    """Our variables, of the environment before `.env`; one that is empty counts as none."""
    sources: tuple[Mapping[str, str | None], ...] = (dotenv_values(env_file) if env_file else {}, os.environ)
    return {name: text for source in sources for name, text in source.items() if text and _is_ours(name)}


def read_secret(name: str, env_file: Any = ENV_FILE) -> str | None:
    """The variable of the environment, or of `.env`, that a setting names; None when neither has it, or it is empty."""
    return os.environ.get(name) or (dotenv_values(env_file).get(name) if env_file else None) or None


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[tuple[str, ...], Any]]]:
    """Every setting's variable, with its path and annotation."""
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*path, key))
        else:
            yield PREFIX + "__".join((*path, key)).upper(), ((*path, key), field.annotation)


def from_variables(model: type[BaseModel], variables: Mapping[str, str]) -> dict[str, Any]:
    """What the environment and `.env` say, nested as the settings are; ValueError names a variable that is no setting."""
    known = dict(leaves(model))
    if unknown := sorted(variables.keys() - known.keys() - {CONFIG_VARIABLE}):
        raise ValueError(f"not a setting: {', '.join(unknown)}. `tickhouse settings` lists every one.")
    values: dict[str, Any] = {}
    for name in variables.keys() & known.keys():
        path, annotation = known[name]
        group = values
        for key in path[:-1]:
            group = group.setdefault(key, {})
        group[path[-1]] = _parse(name, variables[name], annotation)
    return values


def from_file(variables: Mapping[str, str]) -> dict[str, Any]:
    """What tickhouse.yaml says; a group whose lines are all commented out says nothing."""
    path = config_path(variables)
    if not path.is_file():
        if CONFIG_VARIABLE in variables:
            raise FileNotFoundError(f"{CONFIG_VARIABLE} names {path}, which is not a file")
        return {}
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise ValueError(f"{path} holds no settings: it must be `group:` lines with `name: value` below them")
    return {name: value for name, value in (values or {}).items() if value is not None}


def config_path(variables: Mapping[str, str]) -> Path:
    """tickhouse.yaml, or the file that `TICKHOUSE_CONFIG` names; there may be none."""
    return Path(variables.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _parse(name: str, text: str, annotation: Any) -> Any:
    """A variable's text as pydantic takes it; lists are JSON or parted by commas."""
    if text == UNSET and type(None) in get_args(annotation):
        return None
    if get_origin(annotation) is not tuple:
        return text
    if not text.startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is neither a JSON list nor names parted by commas: {error}") from None
