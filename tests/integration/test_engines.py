"""The same project on a second engine: every model is there, and is SQL that the engine's grammar takes."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
import sqlglot
from dbt.artifacts.resources.types import NodeType
from engines import ADAPTERS, OfflineProject
from sqlglot import exp

from tickhouse.settings import Settings
from transform.dbt import PROJECT
from transform.parsed_project import ensure_manifest

# Each was called on Trino 476. Athena's third engine is Trino too, and lists them all.
KNOWN_FUNCTIONS = {
    *("abs", "array_agg", "at_timezone", "cast", "coalesce", "concat", "concat_ws", "contains", "count", "date_trunc", "extract"),
    *("greatest", "lag", "least", "lower", "max", "max_by", "md5", "min", "min_by", "nan", "nullif", "reduce", "reduce_agg"),
    *("regexp_extract", "round", "row_number", "stddev_pop", "stddev_samp", "to_hex", "to_unixtime", "to_utf8", "with_timezone"),
}
NO_FUNCTIONS = {
    "and",
    "as",
    "by",
    "else",
    "exists",
    "from",
    "in",
    "not",
    "on",
    "or",
    "over",
    "row",
    "rule",  # what a model calls the rows of an unnest
    "then",
    "timestamp",
    "unnest",
    "when",
    "where",
}


@pytest.fixture(scope="module", params=ADAPTERS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OfflineProject:
    return OfflineProject(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("on_built_tables", [False, True], ids=["first build", "incremental"])
def test_every_model_gives_the_columns_that_its_yml_promises(project: OfflineProject, on_built_tables: bool) -> None:
    promised = project.columns()
    compiled = project.compiled(NodeType.Model, on_built_tables=on_built_tables)
    assert len(compiled) >= 7
    assert {name: project.selected_columns(sql) for name, sql in compiled.items()} == {name: promised[name] for name in compiled}


def test_every_data_test_is_a_statement_on_columns_that_there_are(project: OfflineProject) -> None:
    compiled = project.compiled(NodeType.Test, on_built_tables=True)
    assert len(compiled) >= 10
    assert [name for name, sql in compiled.items() if not project.selected_columns(sql)] == []


def test_no_function_is_called_that_the_engine_lacks(project: OfflineProject) -> None:
    called = set()
    for sql in project.compiled(NodeType.Model, on_built_tables=True).values():
        tokens = sqlglot.tokenize(sql, dialect=project.engine)
        called |= {word.text.lower() for word, after in pairwise(tokens) if after.text == "(" and re.fullmatch(r"\w+", word.text)}
    assert called - NO_FUNCTIONS <= KNOWN_FUNCTIONS


def test_what_is_new_is_told_by_the_tables_here_too(project: OfflineProject) -> None:
    first, later = project.compiled(NodeType.Model, on_built_tables=False), project.compiled(NodeType.Model, on_built_tables=True)
    incremental = {node.name for node in project.manifest.nodes.values() if node.config.materialized == "incremental"}
    own = {name for name, sql in later.items() if reads_itself(project, name, sql)}
    assert own == incremental
    assert {name for name in first if first[name] != later[name]} == incremental


def reads_itself(project: OfflineProject, name: str, sql: str) -> bool:
    return name in {table.name for table in sqlglot.parse_one(sql, dialect=project.engine).find_all(exp.Table)}


def test_models_have_one_name_one_contract_and_one_page_on_every_engine(
    project: OfflineProject, build_settings: Settings
) -> None:
    on_duckdb = json.loads(ensure_manifest(build_settings).read_text())["nodes"]
    here = project.manifest.to_dict()["nodes"]
    assert set(here) == set(on_duckdb)
    for name, node in on_duckdb.items():
        same = ("description", "columns", "contract", "group", "access") if node["resource_type"] == "model" else ()
        for part in same:
            assert json.loads(json.dumps(here[name][part], default=str)) == node[part], f"{name}: {part}"


def test_each_python_model_has_a_twin() -> None:
    on_duckdb, on_trino = PROJECT / "models_duckdb", PROJECT / "models_trino"
    twins = {path.relative_to(on_trino).with_suffix(".py") for path in on_trino.rglob("*.sql")}
    assert {path.relative_to(on_duckdb) for path in on_duckdb.rglob("*.py")} == twins != set()
    assert [*(PROJECT / "models").rglob("*.py")] == []


def test_no_model_here_is_python(project: OfflineProject) -> None:
    models = [node for node in project.manifest.nodes.values() if node.resource_type == "model"]
    assert {node.language for node in models} == {"sql"}
    assert {node.config.get("incremental_strategy") for node in models} <= {
        None,
        "append",
        "merge",
    }  # what Athena's Iceberg knows


def test_rows_whose_parents_changed_are_forgotten_in_one_statement(project: OfflineProject) -> None:
    macro = f"{project.engine}__forget_changed_rows(ref('fct_alert'), ref('int_indicator'))"
    (statement,) = sqlglot.parse(project.inline(f"{{{{ {macro} }}}}"), dialect=project.engine)
    assert isinstance(statement, exp.Delete)
    assert not statement.args.get("using")
    assert not statement.this.alias, "no alias: Trino's DELETE knows none"


def test_an_engine_that_nobody_thought_of_gets_no_guess(project: OfflineProject, capsys: pytest.CaptureFixture[str]) -> None:
    macros = {macro.name: macro.macro_sql for macro in project.manifest.macros.values() if macro.package_name == "tickhouse"}
    differing = {match[1] for name in macros if (match := re.fullmatch(r"(?:duckdb|trino|athena|default)__(\w+)", name))}
    assert differing >= {"replacing_strategy", "epoch_us", "forget_changed_rows"}
    assert {f"{engine}__{name}" for engine in ("duckdb", "trino", "athena") for name in differing} <= set(macros)
    assert [name for name in differing if f"unknown_engine('{name}')" not in macros[f"default__{name}"]] == []
    with pytest.raises(ValueError, match="inline"):
        project.inline("{{ default__replacing_strategy() }}")
    assert f"replacing_strategy is not written for {project.engine}" in capsys.readouterr().out
