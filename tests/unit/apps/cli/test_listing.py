"""Every setting is listed, everywhere it is promised to be, and what is listed can be loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from apps.cli.listing import as_env_file, as_markdown, as_text, as_yaml, list_settings
from tickhouse.settings import AlertOverride, Settings, environment_names, load_settings

ROOT = Path(__file__).parents[4]


def test_every_setting_is_listed_with_a_meaning() -> None:
    lines = list_settings(Settings())
    assert [line.variable for line in lines] == list(environment_names())
    assert [line.name for line in lines if len(line.meaning) < 10] == []


def test_the_yaml_it_prints_is_a_complete_settings_file(settings: Settings, tmp_path: Path) -> None:
    changed = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"topic": "prices"})})
    (tmp_path / "tickhouse.yaml").write_text(as_yaml(list_settings(changed)))
    assert load_settings() == changed
    assert set(yaml.safe_load(as_yaml(list_settings(settings)))) == set(Settings.model_fields)


def test_the_env_file_it_prints_holds_the_defaults(settings: Settings, tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (?=TICKHOUSE_)", "", as_env_file(list_settings(settings)))
    (tmp_path / ".env").write_text(text)
    assert load_settings(data_dir=settings.data_dir) == settings


def test_a_value_that_is_not_the_default_stands_out(settings: Settings) -> None:
    changed = settings.model_copy(update={"producer": settings.producer.model_copy(update={"rate": 5.0})})
    text = as_text(list_settings(changed)).plain
    assert "producer.rate = 5.0  (default unset)" in text
    assert "kafka.topic = bars\n" in text


def test_lists_of_rules_and_channels_are_shown_as_they_are_written(settings: Settings, tmp_path: Path) -> None:
    rule = AlertOverride(rule="price_change", severity="high", symbol="TSLA", threshold=15.0)
    changed = settings.model_copy(update={"analytics": settings.analytics.model_copy(update={"alert_rules": (rule,)})})
    assert 'analytics.alert_rules = {"rule": "price_change", "severity": "high"' in as_text(list_settings(changed)).plain
    (tmp_path / "tickhouse.yaml").write_text(as_yaml(list_settings(changed)))
    assert yaml.safe_load((tmp_path / "tickhouse.yaml").read_text())["analytics"]["alert_rules"][0]["symbol"] == "TSLA"


@pytest.mark.parametrize("name", ["docs/configuration.md", ".env.example"])
def test_the_files_people_read_list_exactly_the_settings_there_are(name: str) -> None:
    lines = list_settings(Settings())
    wanted = as_markdown(lines) if name.endswith(".md") else as_env_file(lines)
    kind = "markdown" if name.endswith(".md") else "env"
    assert wanted in (ROOT / name).read_text(), f"put what `tickhouse settings --format {kind}` prints into {name}"


def test_the_settings_file_of_the_project_holds_defaults_only() -> None:
    given = yaml.safe_load((ROOT / "tickhouse.yaml").read_text())
    lines = {line.path: line.default for line in list_settings(Settings())}
    for path, value in leaves(given):
        assert json.dumps(lines[path]) == json.dumps(type(lines[path])(value)), ".".join(path)


def leaves(values: dict[str, object], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], object]]:
    found = []
    for name, value in values.items():
        found += leaves(value, (*path, name)) if isinstance(value, dict) else [((*path, name), value)]
    return found
