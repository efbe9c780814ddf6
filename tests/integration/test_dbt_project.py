"""The dbt project's own unit tests pass, and every column it makes is described."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lake import Lake, bar

from tickhouse.settings import Settings
from transform.build import run_build
from transform.build_lock import build_lock
from transform.dbt import generate_docs, run_dbt
from transform.marts import MARTS
from transform.parsed_project import ensure_manifest
from transform.warehouse import open_warehouse

ROOT = Path(__file__).parents[2]


def test_dbts_unit_tests_pass(build_settings: Settings) -> None:
    run_build(build_settings)
    result = run_dbt(build_settings, "--quiet", "test", "--select", "test_type:unit")
    assert result.success, [item.message for item in result.result.results if item.status != "pass"]
    assert len(result.result.results) >= 6


def test_every_column_of_every_model_is_described(build_settings: Settings) -> None:
    lake = Lake(build_settings)
    lake.land([bar("A", 0, 1.0)])
    run_build(build_settings)
    models = json.loads(ensure_manifest(build_settings).read_text())["nodes"].values()
    with open_warehouse(build_settings) as connection:
        for model in models:
            if model["resource_type"] not in ("model", "seed"):
                continue
            actual = [name for name, *_ in connection.execute(f"describe {model['name']}").fetchall()]
            described = [name for name, column in model["columns"].items() if column["description"]]
            assert actual == described, model["name"]
            assert model["description"].startswith("One row per"), f"{model['name']}: the description opens with the grain"


def test_the_published_marts_have_the_columns_dbt_promises(build_settings: Settings) -> None:
    nodes = json.loads(ensure_manifest(build_settings).read_text())["nodes"]
    for name, schema in MARTS.items():
        model = nodes[f"model.tickhouse.{name}"]
        assert list(model["columns"]) == schema.names
        assert model["config"]["contract"]["enforced"]
        assert model["access"] == "public"


def test_the_docs_are_one_page_with_or_without_a_warehouse(build_settings: Settings) -> None:
    assert "int_indicator" in generate_docs(build_settings, with_catalog=False).read_text()
    run_build(build_settings)
    with build_lock(build_settings):
        page = generate_docs(build_settings)
    assert "fct_alert" in page.read_text()


def test_every_column_of_every_source_is_described(build_settings: Settings) -> None:
    run_build(build_settings)
    sources = json.loads(ensure_manifest(build_settings).read_text())["sources"].values()
    assert {source["name"] for source in sources} == {
        "slot",
        "build",
        "alert_override",
        "calendar",
        "session",
        "restaged_bar",
        "removed_row",
    }
    with open_warehouse(build_settings) as connection:
        for source in sources:
            actual = [name for name, *_ in connection.execute(f"describe {source['schema']}.{source['name']}").fetchall()]
            described = [name for name, column in source["columns"].items() if column["description"]]
            assert sorted(actual) == sorted(described), source["name"]
            assert source["description"]


def test_the_lineage_ends_at_everything_that_reads_the_marts(build_settings: Settings) -> None:
    manifest = json.loads(ensure_manifest(build_settings).read_text())
    exposures = {each["name"]: each for each in manifest["exposures"].values()}
    pages = re.findall(r'url_path="(\w+)"', (ROOT / "apps" / "dashboard" / "app.py").read_text())
    assert len(pages) >= 3
    assert set(exposures) == {"api", "alert_delivery", *(f"page_{name}" for name in pages)}
    for each in exposures.values():
        assert each["owner"]["name"]
        assert each["description"].strip()
        assert each["url"] or each["name"] == "alert_delivery"
        code = re.search(r"Code: ([\w/.]+?)\.?$", each["description"].strip())
        assert code is not None
        assert (ROOT / code[1]).exists()
    marts = {name.split(".")[-1] for each in exposures.values() for name in each["depends_on"]["nodes"]}
    assert marts <= set(MARTS)
    assert set(MARTS) - marts <= {"fct_quality_event", "fct_batch_quality"}, (
        "a mart that nobody here reads is for people's own queries"
    )


def test_every_model_and_seed_has_a_group_with_an_owner(build_settings: Settings) -> None:
    manifest = json.loads(ensure_manifest(build_settings).read_text())
    groups = {group["name"]: group for group in manifest["groups"].values()}
    assert all(group["owner"]["name"] and group["description"] for group in groups.values())
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed"):
            assert node["config"]["group"] in groups, node["name"]


def test_a_symbol_of_digits_is_text_among_the_instruments(build_settings: Settings) -> None:
    run_build(build_settings)
    with open_warehouse(build_settings) as connection:
        found = connection.execute("select symbol, name, currency from dim_instrument order by symbol limit 1").fetchall()
    assert found == [("000001.SS", "SSE Composite Index", "CNY")]
