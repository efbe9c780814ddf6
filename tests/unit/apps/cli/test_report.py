"""Where there is no terminal, progress is lines; the table at the end holds what came through."""

from __future__ import annotations

import io

from rich.console import Console

from apps.cli.demo.report import DemoResult, StageDisplay, addresses_table, result_table
from apps.cli.demo.stages import Account, Stages
from tickhouse.settings import Settings


def console(*, is_terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=is_terminal, record=True)


def test_without_a_terminal_a_line_is_printed_when_something_moved() -> None:
    output = console()
    with StageDisplay(output, total=10) as display:
        for stages in (Stages(), Stages(), Stages(produced=10), Stages(10, 10, 10, 10, 10)):
            display.show(stages)
    lines = output.export_text().splitlines()
    assert len(lines) == 2  # the second look showed nothing new, the third came too soon
    assert lines[-1].endswith("produced 10  landed 10  validated 10  modelled 10  published 10")


def test_on_a_terminal_every_stage_has_a_bar() -> None:
    output = console(is_terminal=True)
    with StageDisplay(output, total=10) as display:
        display.show(Stages(10, 9, 8, 7, 6))
    text = output.export_text()
    for name, rows in Stages(10, 9, 8, 7, 6).as_dict().items():
        assert f"{name} " in text
        assert f"{rows}/10" in text.replace(" ", "")


def test_the_result_holds_rows_account_alerts_seconds_and_memory() -> None:
    output = console()
    account = Account(snapshots=3, published=10, superseded=1, quarantined=1, alerts=4)
    output.print(result_table(DemoResult(Stages(12, 12, 12, 12, 12), account, 21.5, [1.0, 2.0, 9.0], 2**31)))
    text = output.export_text()
    for figure in ("12", "alerts found", "21.5 s", "2.0 s", "9.0 s", "2.0 GiB"):
        assert figure in text


def test_the_result_says_how_often_who_was_killed_on_purpose() -> None:
    output = console()
    kills = {"ingestor": 3, "broker": 1}
    output.print(result_table(DemoResult(Stages(), Account(), 21.5, [], 0, kills)))
    lines = [line.replace("│", "").split() for line in output.export_text().splitlines()]
    assert ["ingestor", "killed", "3", "times"] in lines
    assert ["broker", "killed", "1", "time"] in lines


def test_a_result_without_chaos_says_nothing_of_kills() -> None:
    output = console()
    output.print(result_table(DemoResult(Stages(), Account(), 21.5, [], 0)))
    assert "killed" not in output.export_text()


def test_the_addresses_are_those_of_the_settings(settings: Settings) -> None:
    output = console()
    output.print(addresses_table(settings))
    text = output.export_text()
    for port in (settings.pages.port, settings.api.port, settings.dagster.port, settings.docs.port):
        assert f"http://127.0.0.1:{port}" in text
