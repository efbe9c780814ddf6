"""The dbt project's own unit tests pass, and every column it makes is described."""

from __future__ import annotations

import json

from lake import Lake, bar

from tickhouse.settings import Settings
from transform.build import run_build
from transform.dbt import ensure_manifest, generate_docs, run_dbt
from transform.marts import MARTS
from transform.warehouse import build_lock, open_warehouse


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


def test_a_symbol_of_digits_is_text_among_the_instruments(build_settings: Settings) -> None:
    run_build(build_settings)
    with open_warehouse(build_settings) as connection:
        found = connection.execute("select symbol, name, currency from dim_instrument order by symbol limit 1").fetchall()
    assert found == [("000001.SS", "SSE Composite Index", "CNY")]
