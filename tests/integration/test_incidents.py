"""Failure is seen: what Dagster's records and the lake say reaches people by a webhook, once, and once more when it is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from lake import Lake, bar
from webhook import Webhook, listening

from ingestion.topic import BrokerUnreachableError
from orchestration import retries
from orchestration.incidents import Cursor, incident_sensor, look
from orchestration.instance import instance_yaml
from orchestration.jobs import BUILD, DELIVER, JOBS
from orchestration.resources import Platform
from tickhouse.settings import ChannelSettings, DagsterSettings, IncidentSettings, Settings, as_environment
from tickhouse.storage import StorageUnavailableError, open_storage
from transform.build import ValidationBlockedError
from transform.dbt import DbtError
from transform.incidents.book import Book

Job = dg.JobDefinition | UnresolvedAssetJobDefinition
UI = "https://dagster.example.com"
CHECKED = dg.AssetKey("price")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with listening() as webhook:
        yield webhook


@pytest.fixture
def told(settings: Settings, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a platform that tells the webhook, at once when all is well again."""
    monkeypatch.setenv("DESK_URL", hook.url)
    channels = (ChannelSettings(name="desk", url_variable="DESK_URL", alerts=False),)
    changes = {
        "delivery": settings.delivery.model_copy(update={"channels": channels}),
        "incidents": IncidentSettings(calm_seconds=0, lag_seconds=60),
        "dagster": DagsterSettings(url=f"{UI}/"),
        "kafka": settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"}),
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """One that tries runs again as ours does."""
    with dg.instance_for_test(overrides={"run_retries": yaml.safe_load(instance_yaml(settings))["run_retries"]}) as made:
        yield made


class Looks:
    """One look after the other, as the sensor's."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.settings = instance, settings
        self.cursor = Cursor(upto=datetime.now(UTC) - timedelta(hours=1))

    def look(self, later: float = 0.0) -> str:
        now = datetime.now(UTC) + timedelta(seconds=later)
        self.cursor, said = look(self.instance, self.settings, open_storage(self.settings), self.cursor, now)
        return said


def failing(name: str, error: Exception | None, tags: dict[str, str] | None = None) -> dg.JobDefinition:
    @dg.op
    def work() -> None:
        if error is not None:
            raise error

    @dg.job(name=name, tags=tags)
    def job() -> None:
        work()

    return job


def run(instance: dg.DagsterInstance, name: str, error: Exception | None = None, tags: dict[str, str] | None = None) -> str:
    return failing(name, error, tags).execute_in_process(instance=instance, raise_on_error=False).run_id


def check_price(instance: dg.DagsterInstance, **passed: bool) -> None:
    """Materialize an asset whose checks pass or not: one blocks, one warns, one warns of how fresh it is."""
    warn = dg.AssetCheckSeverity.WARN
    severities = {"is_positive": dg.AssetCheckSeverity.ERROR, "is_round": warn, "bars_are_fresh": warn}
    specs = [dg.AssetCheckSpec(name, asset=CHECKED, blocking=name == "is_positive") for name in severities]

    @dg.asset(key=CHECKED, check_specs=specs)
    def price() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        yield dg.MaterializeResult()
        for name, severity in severities.items():
            yield dg.AssetCheckResult(check_name=name, passed=passed.get(name, True), severity=severity, metadata={"rows": 7})

    dg.materialize([price], instance=instance, raise_on_error=False)


def test_a_failed_run_is_told_once_with_its_reason_and_place_and_once_when_the_job_succeeds(
    instance: dg.DagsterInstance, told: Settings, hook: Webhook
) -> None:
    looks = Looks(instance, told)
    assert looks.look() == "Open incidents: none."
    first = run(instance, "build", DbtError("test.tickhouse.unique_fct_alert: fail: Got 1 result"))
    assert looks.look() == "Open incidents: run:build."
    run(instance, "build", DbtError("again"))
    looks.look()
    [message] = hook.taken
    assert message["title"] == "tickhouse: the job build failed"
    assert message["type"] == "failure"
    assert "The step work failed: test.tickhouse.unique_fct_alert: fail: Got 1 result" in message["message"]
    assert f"Look: {UI}/runs/{first}" in message["message"]
    assert "Do: nothing that is published has changed" in message["message"]
    run(instance, "retention")
    looks.look()
    assert len(hook.taken) == 1, "another job's success says nothing of this one"
    run(instance, "build")
    assert looks.look() == "Open incidents: none."
    looks.look()
    assert [each["title"] for each in hook.taken[1:]] == ["Recovered: tickhouse: the job build failed"]
    assert hook.references == ["incident-1/began", "incident-1/recovered"]


def test_failures_and_successes_between_two_looks_are_told_and_a_lost_cursor_tells_nothing_again(
    instance: dg.DagsterInstance, told: Settings, hook: Webhook
) -> None:
    run(instance, "build", RuntimeError("once"))
    run(instance, "build")
    Looks(instance, told).look()
    assert hook.references == ["incident-1/began", "incident-1/recovered"]
    Looks(instance, told).look()
    assert len(hook.taken) == 1


def test_a_failed_check_that_blocks_and_a_stale_asset_are_told_and_a_warning_is_not(
    instance: dg.DagsterInstance, told: Settings, hook: Webhook
) -> None:
    looks = Looks(instance, told)
    check_price(instance, is_round=False)
    assert looks.look() == "Open incidents: none."
    check_price(instance, is_positive=False)
    assert "check:price:is_positive" in looks.look()
    check_price(instance, bars_are_fresh=False)
    looks.look()
    check_price(instance)
    assert looks.look() == "Open incidents: none."
    text = "".join(f"\n{each['title']}\n{each['message']}" for each in hook.taken)
    for said in (
        "tickhouse: the check is_positive of price failed\nrows: 7",
        "tickhouse: price is stale (bars_are_fresh)",
        "Recovered: tickhouse: the check is_positive of price failed",
        "Recovered: tickhouse: price is stale (bars_are_fresh)",
    ):
        assert text.count(f"\n{said}") == 1, said
    assert f"Look: {UI}/assets/price?view=checks&checkDetail=is_positive\nRun: {UI}/runs/" in text
    assert "is_round" not in text
    assert len(set(hook.references)) == len(hook.references)


def test_a_run_that_dagster_tries_again_is_told_only_when_it_gives_up(
    instance: dg.DagsterInstance, told: Settings, hook: Webhook
) -> None:
    looks = Looks(instance, told)
    run_id = run(instance, "compact", RuntimeError("killed"))
    instance.add_run_tags(run_id, {"dagster/will_retry": "true"})
    assert looks.look() == "Open incidents: none."
    instance.add_run_tags(run_id, {"dagster/will_retry": "false"})
    assert looks.look() == "Open incidents: run:compact."
    assert len(hook.taken) == 1


def test_what_landed_and_is_not_validated_for_too_long_is_told_until_it_is(
    instance: dg.DagsterInstance, told: Settings, hook: Webhook
) -> None:
    Lake(told).land([bar("A", 0, 1.0)])
    looks = Looks(instance, told)
    assert looks.look() == "Open incidents: none."
    assert looks.look(later=59) == "Open incidents: none."
    assert "lag:validation/topic=bars/id=incarnation-1/partition=0" in looks.look(later=61)
    looks.look(later=90)
    [message] = hook.taken
    assert message["title"] == "tickhouse: validation is late: 1 offsets behind on bars / 0"
    assert f"Look: {UI}/assets/validated_slot" in message["message"]


def test_the_sensor_tells_and_no_secret_reaches_its_messages_or_logs(
    instance: dg.DagsterInstance,
    told: Settings,
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DESK_URL", f"{hook.url}?+token=top-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key-of-the-lake")
    for name, value in as_environment(told).items():
        monkeypatch.setenv(name, value)
    url = f"{hook.url}?+token=top-secret"
    run(instance, "build", RuntimeError(f"{url} refused, http://me:my-password@broker/ too, key-of-the-lake"))
    caplog.clear()
    capfd.readouterr()
    hook.answers = [503]
    sensor = incident_sensor(told)
    with caplog.at_level(logging.DEBUG):
        context = dg.build_sensor_context(instance)
        skipped = sensor(context, platform=Platform())
        assert isinstance(skipped, dg.SkipReason)
        assert skipped.skip_message == "Open incidents: run:build. desk is out: it did not take the message."
        assert isinstance(sensor(dg.build_sensor_context(instance, cursor=context.cursor), platform=Platform()), dg.SkipReason)
    assert len(hook.taken) == 1, "a channel that is out is not tried again at once"
    assert "[DESK_URL] refused, http://…@broker/ too, [AWS_SECRET_ACCESS_KEY]" in hook.taken[0]["message"]
    written = "".join(
        [*map(str, hook.taken), caplog.text, *capfd.readouterr(), Book(open_storage(told)).read().model_dump_json()]
    )
    for secret in ("top-secret", "my-password", "key-of-the-lake"):
        assert secret not in written


def test_without_a_channel_the_sensor_notes_nothing(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    skipped = incident_sensor(settings)(dg.build_sensor_context(instance), platform=Platform())
    assert "No channel hears of incidents" in str(skipped)
    assert not (settings.lake_path / "incidents").exists()


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (StorageUnavailableError("s3://lake answers 503"), 1 + retries.RETRIES),
        (BrokerUnreachableError("no broker answers"), 1 + retries.RETRIES),
        (ValidationBlockedError("150 of 200 rows fail"), 1),
        (DbtError("test.tickhouse.unique_fct_alert: fail"), 1),
        (ValueError("a mistake of ours"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_may_pass_is_tried_again_and_nothing_else(error: Exception, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "SECONDS_TO_WAIT", 0)
    calls = []

    @dg.op
    def work() -> None:
        with retries.tried_again():
            calls.append(1)
            raise error

    @dg.job
    def job() -> None:
        work()

    assert not job.execute_in_process(raise_on_error=False).success
    assert len(calls) == tries


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_run_whose_process_died_starts_anew_unless_a_sensor_asks_for_it(instance: dg.DagsterInstance, job: Job) -> None:
    run = instance.create_run_for_job(failing("any", None), status=dg.DagsterRunStatus.STARTED, tags=dict(job.tags or {}))
    instance.report_run_failed(run)
    tried_again = instance.get_run_by_id(run.run_id).tags["dagster/will_retry"]
    assert tried_again == ("false" if job in (BUILD, DELIVER) else "true")


def test_a_run_that_failed_by_itself_does_not_start_anew(instance: dg.DagsterInstance) -> None:
    run_id = run(instance, "any", RuntimeError("not the process"), retries.ANEW_AFTER_A_CRASH)
    assert instance.get_run_by_id(run_id).tags["dagster/will_retry"] == "false"
