"""Delivery over the wire: a webhook that fails, answers too late, hangs up, and a deliverer that is killed before it can note."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from lake import Lake, bar
from webhook import Webhook, listening

from orchestration.assets.alert import CHANNEL_TAG, delivered_alert
from orchestration.delivering import Asked, delivery_sensor, due
from orchestration.jobs import DELIVER
from orchestration.resources import Platform
from tickhouse.settings import ChannelSettings, DeliverySettings, Settings, as_environment, process_environment
from tickhouse.storage import Storage, open_storage
from transform.alerts.channel import open_channels
from transform.alerts.delivery import deliver_all, open_deliveries
from transform.alerts.waiting import delivering
from transform.build import run_build

DIES_BEFORE_IT_NOTES = """
import os, signal
from transform.alerts.outbox import Outbox
Outbox.settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from apps.cli.main import app
app(["deliver", "--once"])
"""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


@pytest.fixture(scope="module")
def published(shared_build_settings: Settings) -> Settings:
    """A lake with three alerts that are told."""
    told = DeliverySettings(history=True, timeout_seconds=1.0)
    settings = shared_build_settings.model_copy(update={"delivery": told})
    lake = Lake(settings)
    lake.land([bar("A", day, close) for day, close in enumerate((100.0, 106.0, 100.0, 120.0))])
    run_build(settings)
    return settings


def reaching(settings: Settings, name: str, hook: Webhook, monkeypatch: pytest.MonkeyPatch, **chosen: object) -> Settings:
    """The settings with a channel to the webhook that wants the daily price changes alone, one by one."""
    monkeypatch.setenv("HOOK_URL", hook.url)
    wanted = ChannelSettings(name=name, url_variable="HOOK_URL", rules=("price_change",), min_severity="medium")
    delivery = settings.delivery.model_copy(update={"channels": (wanted,), "digest_from": 50, **chosen})
    return settings.model_copy(update={"delivery": delivery})


def deliver(settings: Settings) -> list[str]:
    storage: Storage = open_storage(settings)
    channels = open_channels(settings.delivery)
    return deliver_all(open_deliveries(settings, storage, channels), channels)


def test_what_is_refused_or_answered_too_late_comes_again_and_nothing_else(
    published: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = reaching(published, "flaky", webhook, monkeypatch)
    webhook.answers = [500, "late", 200, "hang up"]
    outcomes = [deliver(settings) for _ in range(4)]
    assert outcomes == [["flaky"], ["flaky"], ["flaky"], []]
    first, second, third, *_ = dict.fromkeys(webhook.references)
    assert webhook.references[:6] == [first, first, first, second, second, third]
    arrived = len(webhook.taken)
    assert deliver(settings) == []
    assert len(webhook.taken) == arrived, "what was noted as delivered is not sent again"
    assert webhook.taken[0]["title"].startswith("A 1d 2020-01-02: price_change, medium")
    assert webhook.taken[0] == webhook.taken[1] == webhook.taken[2]


def test_killed_between_the_answer_and_the_note_it_repeats_that_message_and_no_other(
    published: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = reaching(published, "killed", webhook, monkeypatch)
    environment = {**process_environment(), **as_environment(settings), "HOOK_URL": webhook.url, "PYTHONPATH": os.getcwd()}
    ended = subprocess.run([sys.executable, "-c", DIES_BEFORE_IT_NOTES], env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(webhook.taken) == 1
    assert deliver(settings) == []
    references = webhook.references
    assert references[0] == references[1]
    assert len(set(references)) == len(references) - 1
    assert webhook.taken[0] == webhook.taken[1]


def test_many_come_as_one_digest(published: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deliver(reaching(published, "digest", webhook, monkeypatch, digest_from=2)) == []
    assert len(webhook.taken) == 1
    assert re.match(r"\d+ alerts: \d+ high, \d+ medium", webhook.taken[0]["title"])


def test_the_command_tests_a_channel_delivers_and_shows_no_address(
    published: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = reaching(published, "desk", webhook, monkeypatch)
    environment = {**process_environment(), **as_environment(settings), "HOOK_URL": webhook.url + "?+token=secret"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "apps.cli", "deliver", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    tested = run("--test", "desk")
    assert (tested.returncode, tested.stdout) == (0, "desk took the message.\n"), tested.stderr
    assert webhook.taken[0]["title"] == "tickhouse reaches you"
    webhook.answers = [503]
    out = run("--once")
    assert out.returncode == 1
    assert "Out, and what is for them waits: desk" in out.stderr
    assert "secret" not in tested.stderr + out.stderr + out.stdout


def look(instance: dg.DagsterInstance, settings: Settings, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    """What the sensor makes of what waits."""
    return delivery_sensor(settings)(dg.build_sensor_context(instance, cursor=cursor), platform=Platform())


def test_dagster_starts_a_run_for_a_channel_that_something_waits_for_and_none_where_nothing_does(
    published: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = reaching(published, "graph", webhook, monkeypatch)
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    job = dg.Definitions(assets=[delivered_alert], jobs=[DELIVER], resources={"platform": Platform()}).resolve_job_def("deliver")
    with dg.DagsterInstance.ephemeral() as instance:
        with delivering(settings):
            assert "`tickhouse deliver` delivers" in str(look(instance, settings))
        asked = look(instance, settings)
        assert [request.tags[CHANNEL_TAG] for request in asked.run_requests] == ["graph"]
        again = look(instance, settings, asked.cursor)
        assert not again.run_requests, "what was asked for a moment ago is not asked for again"
        ran = job.execute_in_process(instance=instance, tags={CHANNEL_TAG: "graph"})
        [made] = ran.get_asset_materialization_events()
        assert made.materialization.metadata["told_graph"].value == len(set(webhook.references)) > 0
        done = look(instance, settings, again.cursor)
        assert not done.run_requests
        opened = []
        monkeypatch.setattr("transform.alerts.delivery.SnapshotReader.pin", lambda _: opened.append(1))
        assert str(look(instance, settings, done.cursor).skip_reason) == str(done.skip_reason)
        assert opened == [], "a ledger that has not grown is not opened"


def test_a_channel_that_is_out_is_asked_for_later_and_later_until_something_was_taken(published: Settings) -> None:
    asked, now, pauses = due(None, 7, published, 0.0), 0.0, []
    while len(pauses) < 6:
        now += 1
        if (next_one := due(asked, 7, published, now)) is not None:
            pauses.append(next_one.at - asked.at)
            asked = next_one
    assert pauses == [30, 60, 120, 240, 300, 300]
    assert due(asked, 8, published, now + 1) == Asked(after=8, at=now + 1, tries=1)


def test_without_a_channel_no_run_is_asked_for(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in as_environment(published).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        assert "No channel hears of alerts" in str(look(instance, published))
