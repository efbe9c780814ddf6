from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tickhouse.settings import (
    CONFIG_VARIABLE,
    INDICATORS,
    PREFIX,
    Settings,
    as_environment,
    environment_names,
    load_settings,
    process_environment,
)

# For every setting a value that is not its default, as tickhouse.yaml carries it.
OTHER: dict[str, Any] = {
    "data_dir": "/elsewhere/data",
    "kafka.bootstrap_servers": "broker-1:9092,broker-2:9092",
    "kafka.topic": "null",
    "kafka.partitions": 12,
    "kafka.group": "another group",
    "kafka.offset_reset": "latest",
    "producer.acks": "1",
    "producer.rate": 12.5,
    "producer.speed": 60.0,
    "producer.max_messages": 7,
    "producer.loop": True,
    "producer.resume": True,
    "ingestor.flush_rows": 10,
    "ingestor.flush_bytes": 1000,
    "ingestor.flush_seconds": 0.125,
    "ingestor.buffer_bytes": 5000,
    "metrics.host": "0.0.0.0",
    "metrics.port": 9464,
    "metrics.stalled_seconds": 30.0,
    "storage.kind": "s3",
    "storage.path": "somewhere/else",
    "storage.bucket": "bars",
    "storage.prefix": "a/lake",
    "storage.region": "eu-central-1",
    "storage.endpoint_url": "http://127.0.0.1:9000",
    "validation.max_quarantined_pct": 5.5,
    "validation.block_from_rows": 3,
    "validation.docs_retention_days": 7.5,
    "analytics.enabled": False,
    "analytics.indicators": ["rsi_14", "sma_20"],
    "analytics.derived_intervals": ["1w"],
    "analytics.alert_rules": [
        {"rule": "price_change", "severity": "medium", "symbol": None, "threshold": 4.0, "enabled": True},
        {"rule": "macd_cross_up", "severity": "low", "symbol": "IBM", "threshold": None, "enabled": False},
    ],
    "delivery.channels": [
        {
            "name": "desk",
            "url_variable": "DESK_URL",
            "min_severity": "high",
            "symbols": ["A"],
            "rules": [],
            "alerts": False,
            "incidents": True,
        },
    ],
    "delivery.look_seconds": 2,
    "delivery.digest_from": 3,
    "delivery.timeout_seconds": 2.0,
    "delivery.max_backoff_seconds": 9.0,
    "delivery.history": True,
    "delivery.max_age_hours": 24.0,
    "freshness.daily_delay_hours": 2.5,
    "freshness.intraday_delay_minutes": 90.0,
    "freshness.live_within_hours": 24.0,
    "freshness.retired_symbols": ["FB"],
    "freshness.severity": "error",
    "incidents.look_seconds": 10,
    "incidents.calm_seconds": 0.0,
    "incidents.lag_seconds": 60.0,
    "incidents.lag_rows": 1000,
    "incidents.stale_checks": ["is_fresh"],
    "snapshot.retention_seconds": 60.0,
    "api.host": "0.0.0.0",
    "api.port": 18000,
    "api.url": "https://api.example.org",
    "pages.host": "0.0.0.0",
    "pages.port": 18501,
    "pages.url": "https://pages.example.org",
    "pages.refresh_seconds": 0.5,
    "dagster.host": "0.0.0.0",
    "dagster.port": 13000,
    "dagster.url": "https://dagster.example.com",
    "dagster.code_server_port": 14266,
    "dagster.launcher": "stock",
    "dagster.look_seconds": 1.0,
    "dagster.build_every_seconds": 5.0,
    "dagster.first_month": "1962-01",
    "dagster.compact_cron": "0 3 * * 0",
    "dagster.retention_cron": "*/10 * * * *",
    "dagster.freshness_cron": "0 * * * *",
    "dagster.gaps_cron": "0 4 * * 1",
    "dagster.test_cron": "0 5 * * *",
    "dagster.docs_cron": "0 4 * * *",
    "dagster.observe_seconds": 5,
    "dagster.run_retention_cron": "*/5 * * * *",
    "dagster.run_retention_hours": 1.5,
    "dagster.run_retention_runs": 50,
    "dagster.postgres_url_variable": "RECORDS_URL",
    "dagster.read_only": True,
    "docs.host": "0.0.0.0",
    "docs.port": 18080,
    "docs.url": "https://docs.example.org",
    "logging.level": "DEBUG",
    "logging.format": "json",
    "logging.file": "logs/tickhouse.log",
    "logging.max_bytes": 4096,
    "logging.backups": 0,
}
NEEDED_BESIDE = {"storage.kind": {"storage.bucket": "bars"}}
REFUSED_TOGETHER = ({"producer.rate", "producer.speed"}, {"producer.acks", "producer.resume"})
SETS = st.sets(st.sampled_from(sorted(OTHER)))
FITTING_SETS = SETS.filter(lambda paths: not any(together <= paths for together in REFUSED_TOGETHER))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without files, and an environment without our variables."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(values: dict[str, Any]) -> str:
    """`values` (by dotted path) as tickhouse.yaml."""
    document: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        group = document
        for key in groups:
            group = group.setdefault(key, {})
        group[name] = value
    return yaml.safe_dump(document)


def variable(path: str) -> str:
    return PREFIX + path.replace(".", "__").upper()


def value_of(settings: Settings, path: str) -> Any:
    value: Any = settings.model_dump(mode="json")
    for key in path.split("."):
        value = value[key]
    return value


def test_every_setting_has_another_value_in_this_file() -> None:
    assert {".".join(path) for path in environment_names().values()} == OTHER.keys()


@pytest.mark.parametrize("path", OTHER)
def test_every_setting_can_be_set_in_the_file(path: str, empty_folder: Path) -> None:
    assert value_of(load_settings(), path) != OTHER[path]
    (empty_folder / "tickhouse.yaml").write_text(written({path: OTHER[path], **NEEDED_BESIDE.get(path, {})}))
    assert value_of(load_settings(), path) == OTHER[path]


@pytest.mark.parametrize("path", OTHER)
def test_every_setting_can_be_set_in_the_environment_which_wins_over_the_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = value_of(Settings(), path)
    Path("tickhouse.yaml").write_text(written({path: default, **NEEDED_BESIDE.get(path, {})}))
    text = OTHER[path] if isinstance(OTHER[path], str) else json.dumps(OTHER[path])
    monkeypatch.setenv(variable(path), text)
    assert value_of(load_settings(), path) == OTHER[path]


@pytest.mark.parametrize("path", OTHER)
def test_every_setting_can_be_set_in_the_dot_env_file(path: str) -> None:
    values = {path: OTHER[path], **NEEDED_BESIDE.get(path, {})}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    Path(".env").write_text("".join(f"{variable(name)}='{text}'\n" for name, text in texts.items()))
    assert value_of(load_settings(), path) == OTHER[path]


def test_arguments_win_over_environment_over_dot_env_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tickhouse.yaml").write_text("kafka: {topic: file, group: file, partitions: 5}\nproducer: {rate: 5}\n")
    Path(".env").write_text("TICKHOUSE_KAFKA__TOPIC=dot-env\nTICKHOUSE_KAFKA__GROUP=dot-env\n")
    monkeypatch.setenv("TICKHOUSE_KAFKA__TOPIC", "environment")
    loaded = load_settings(producer={"rate": 7})
    assert (loaded.kafka.topic, loaded.kafka.group, loaded.kafka.partitions) == ("environment", "dot-env", 5)
    assert loaded.producer.rate == 7


def test_dot_env_may_hold_other_programs_variables() -> None:
    Path(".env").write_text("AWS_ACCESS_KEY_ID=x\nKAFKA_IMAGE=y\nTICKHOUSE_KAFKA__TOPIC=mine\n")
    assert load_settings().kafka.topic == "mine"


def test_the_file_is_the_one_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tickhouse.yaml").write_text("kafka: {topic: wrong}")
    Path("conf").mkdir()
    Path("conf/mine.yaml").write_text("kafka: {topic: right}")
    monkeypatch.setenv(CONFIG_VARIABLE, "conf/mine.yaml")
    assert load_settings().kafka.topic == "right"


def test_dot_env_may_name_the_file() -> None:
    Path("mine.yaml").write_text("kafka: {topic: right}")
    Path(".env").write_text(f"{CONFIG_VARIABLE}=mine.yaml\n")
    assert load_settings().kafka.topic == "right"


def test_a_named_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, "tickhouse.yaml")
    with pytest.raises(FileNotFoundError, match=r"TICKHOUSE_CONFIG.*tickhouse\.yaml"):
        load_settings()


def test_data_dir_is_relative_to_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/tickhouse.yaml").write_text("data_dir: ../data")
    monkeypatch.setenv(CONFIG_VARIABLE, "conf/tickhouse.yaml")
    loaded = load_settings()
    assert loaded.data_dir == tmp_path / "data"
    assert loaded.lake_path == tmp_path / "data/lake"


def test_data_dir_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/homes/me")
    monkeypatch.setenv("TICKHOUSE_DATA_DIR", "~/tickhouse")
    assert load_settings().data_dir == Path("/homes/me/tickhouse")


def test_loading_makes_no_folder(empty_folder: Path) -> None:
    load_settings()
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    "document",
    [
        "kafka: {topik: a}",
        "kafkaa: {topic: a}",
        "analytics: {alert_rules: [{rule: price_change, severity: low, rsi: 3}]}",
        "topic: a",
    ],
)
def test_an_unknown_key_in_the_file_is_refused_by_name(document: str) -> None:
    Path("tickhouse.yaml").write_text(document)
    with pytest.raises(ValueError, match=r"topik|kafkaa|alert_rules\.0\.rsi|topic"):
        load_settings()


@pytest.mark.parametrize(
    "name",
    ["TICKHOUSE_KAFKA__TOPIK", "TICKHOUSE_TOPIC", "TICKHOUSE_KAFKA", "tickhouse_kafka__topic", "TICKHOUSE_KAFKA__TOPIC__X"],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_an_unknown_variable_is_refused_by_name(name: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "environment":
        monkeypatch.setenv(name, "a")
    else:
        Path(".env").write_text(f"{name}=a\n")
    with pytest.raises(ValueError, match=name):
        load_settings()


@pytest.mark.parametrize("document", ["- kafka", "hello", "kafka: ["])
def test_a_file_that_holds_no_settings_is_refused_by_name(document: str) -> None:
    Path("tickhouse.yaml").write_text(document)
    with pytest.raises(ValueError, match=r"tickhouse\.yaml"):
        load_settings()


def test_a_file_whose_lines_are_commented_out_says_nothing() -> None:
    Path("tickhouse.yaml").write_text("kafka:\n#  topic: a\nproducer:\n")
    assert load_settings().kafka.topic == "bars"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kafka.bootstrap_servers", ""),
        ("kafka.topic", "a/b"),
        ("kafka.partitions", 0),
        ("kafka.offset_reset", "smallest"),
        ("producer.acks", "2"),
        ("producer.rate", 0),
        ("producer.rate", float("inf")),
        ("producer.speed", "sixty"),
        ("producer.speed", "0x"),
        ("ingestor.flush_seconds", -1),
        ("ingestor.flush_rows", 1.5),
        ("storage.kind", "gcs"),
        ("storage.kind", "s3"),
        ("validation.max_quarantined_pct", 101),
        ("analytics.indicators", ["sma_21"]),
        ("analytics.derived_intervals", ["1m"]),
        ("analytics.alert_rules", [{"rule": "rsi_overbought", "severity": "low", "threshold": 101}]),
        ("analytics.alert_rules", [{"rule": "volume_spike", "severity": "low", "threshold": 0}]),
        ("analytics.alert_rules", [{"rule": "price_crash", "severity": "low"}]),
        ("analytics.alert_rules", [{"rule": "price_change", "severity": "low"}] * 2),
        ("api.port", 65536),
        ("logging.level", "LOUD"),
        ("logging.backups", -1),
    ],
)
def test_a_refused_value_names_its_setting(path: str, value: Any) -> None:
    Path("tickhouse.yaml").write_text(written({path: value}))
    with pytest.raises(ValidationError) as refused:
        load_settings()
    place = ".".join(str(part) for part in refused.value.errors()[0]["loc"])
    assert place.startswith(path) or (path == "storage.kind" and "storage.bucket" in str(refused.value))


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tickhouse.yaml").write_text("producer: {rate: 5}")
    monkeypatch.setenv("TICKHOUSE_PRODUCER__RATE", "")
    assert load_settings().producer.rate == 5


def test_a_variable_can_unset_what_the_file_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tickhouse.yaml").write_text("producer: {rate: 5}\nlogging: {file: a.log}")
    monkeypatch.setenv("TICKHOUSE_PRODUCER__RATE", "null")
    monkeypatch.setenv("TICKHOUSE_LOGGING__FILE", "null")
    loaded = load_settings()
    assert loaded.producer.rate is None
    assert loaded.logging.file is None


@pytest.mark.parametrize("text", ["rsi_14,sma_20", "rsi_14, sma_20", '["rsi_14", "sma_20"]'])
def test_indicators_are_a_list_in_the_environment(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_ANALYTICS__INDICATORS", text)
    analytics = load_settings().analytics
    assert analytics.indicators == ("rsi_14", "sma_20")
    assert analytics.computed == ("sma_20", "rsi_14")


def test_a_list_that_is_no_list_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_ANALYTICS__INDICATORS", '["rsi_14"')
    with pytest.raises(ValueError, match="TICKHOUSE_ANALYTICS__INDICATORS"):
        load_settings()


@pytest.mark.parametrize(("given_", "computed"), [({"enabled": False}, ()), ({"indicators": []}, ()), ({}, INDICATORS)])
def test_analytics_computes_what_is_chosen_and_nothing_when_off(given_: dict[str, Any], computed: tuple[str, ...]) -> None:
    assert load_settings(analytics=given_).analytics.computed == computed


@pytest.mark.parametrize(("text", "chosen"), [("[]", ()), ("1w", ("1w",)), ("1w, 5m,1w", ("5m", "1w"))])
def test_derived_intervals_are_in_one_order_however_they_are_written(
    text: str, chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKHOUSE_ANALYTICS__DERIVED_INTERVALS", text)
    assert load_settings().analytics.derived_intervals == chosen


def test_people_write_numbers_and_small_letters_too() -> None:
    Path("tickhouse.yaml").write_text("producer: {acks: 1}\nlogging: {level: warning}\nstorage: {prefix: /a/b/}")
    loaded = load_settings()
    assert (loaded.producer.acks, loaded.logging.level, loaded.storage.prefix) == ("1", "WARNING", "a/b")


def test_a_speed_is_written_with_or_without_its_x() -> None:
    for text in ("60x", "60", " 60x "):
        Path("tickhouse.yaml").write_text(f"producer: {{speed: '{text}'}}")
        assert load_settings().producer.speed == 60


@pytest.mark.parametrize("together", REFUSED_TOGETHER, ids=lambda together: " ".join(sorted(together)))
def test_settings_that_contradict_each_other_are_refused(together: set[str]) -> None:
    Path("tickhouse.yaml").write_text(written({path: OTHER[path] for path in together}))
    with pytest.raises(ValueError, match=r" and | needs "):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    loaded = load_settings()
    with pytest.raises(ValidationError):
        loaded.kafka.topic = "other"  # type: ignore[misc]


@hypothesis_settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mine=FITTING_SETS, file=SETS)
def test_a_child_process_loads_exactly_these_settings_whatever_its_files_say(
    mine: set[str], file: set[str], tmp_path: Path
) -> None:
    """Also an unset value, where the child's own tickhouse.yaml sets one."""
    bucket = {"storage.bucket": "bars"}
    Path("tickhouse.yaml").unlink(missing_ok=True)
    parent = load_settings(**yaml.safe_load(written({path: OTHER[path] for path in mine} | bucket)))
    Path("tickhouse.yaml").write_text(written({path: OTHER[path] for path in file} | bucket))
    with pytest.MonkeyPatch.context() as patch:
        for name, text in as_environment(parent).items():
            patch.setenv(name, text)
        assert load_settings() == parent


def test_a_childs_environment_starts_without_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_KAFKA__TOPIC", "a")
    monkeypatch.setenv("SOMETHING_ELSE", "b")
    base = process_environment()
    assert base["SOMETHING_ELSE"] == "b"
    assert not [name for name in base if name.startswith(PREFIX)]
