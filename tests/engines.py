"""The dbt project compiled for an engine that is not there: no connection, and tables that only a list says exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlglot
from dbt.adapters.athena import AthenaAdapter
from dbt.adapters.trino import TrinoAdapter
from dbt.artifacts.resources.types import NodeType
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify

from tickhouse.bar import LANDED_SCHEMA
from transform.dbt import PROJECT

ADAPTERS = {"trino": TrinoAdapter, "athena": AthenaAdapter}

_PROFILE = """\
tickhouse:
  target: trino
  outputs:
    trino: {type: trino, method: none, host: nowhere.invalid, port: 1, user: test, database: lake, schema: main, threads: 1}
    athena:
      type: athena
      region_name: eu-central-1
      database: lake
      schema: main
      s3_data_dir: s3://nowhere/models/
      s3_staging_dir: s3://nowhere/results/
      threads: 1
"""

_NOT_IN_YML = {
    "landed_bar": [*LANDED_SCHEMA.names, "$path"],
    "quarantined_bar": [*LANDED_SCHEMA.names, "reasons", "$path"],
}


class OfflineProject:
    """The project on an engine that nothing connects to; `folder` is for what dbt writes."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profiles.yml").write_text(_PROFILE)
        self.manifest: Manifest = self._invoke("parse").result

    def compiled(self, kind: NodeType, *, on_built_tables: bool) -> dict[str, str]:
        """The SQL of each model, or each test: as a first build runs it, or as one that finds every table built."""
        with self._tables(on_built_tables):
            ran = self._invoke("compile", "--no-populate-cache").result.results
        return {each.node.name: each.node.compiled_code for each in ran if each.node.resource_type == kind}

    def inline(self, template: str) -> str:
        """A piece of the project's SQL, rendered. Raises ValueError with what dbt says when it cannot be."""
        with self._tables(False):
            result = self._runner("compile", "--no-populate-cache", "--inline", template)
        if not result.success:
            raise ValueError(str(result.exception or result.result.results[0].message))
        return result.result.results[0].node.compiled_code

    def columns(self) -> dict[str, list[str]]:
        """The columns that the yml promises of every model, seed and source, in order."""
        nodes = [*self.manifest.nodes.values(), *self.manifest.sources.values()]
        kinds = (NodeType.Model, NodeType.Seed, NodeType.Source)
        described = {node.name: list(node.columns) for node in nodes if node.resource_type in kinds}
        return described | _NOT_IN_YML

    def selected_columns(self, sql: str) -> list[str]:
        """The columns that one statement gives, in order; raises when it is not one, or names a column that is not there."""
        (statement,) = sqlglot.parse(sql, dialect=self.engine)
        assert isinstance(statement, exp.Query), sql
        schema = {name: dict.fromkeys(columns, "unknown") for name, columns in self.columns().items()}
        for table in statement.find_all(exp.Table):
            table.set("db", None)
            table.set("catalog", None)
        return qualify(statement, schema=schema, dialect=self.engine).named_selects

    @contextmanager
    def _tables(self, are_built: bool) -> Iterator[None]:
        def listed(adapter: Any, schema: Any) -> list[Any]:
            models = [node for node in self.manifest.nodes.values() if node.resource_type == NodeType.Model] if are_built else []
            make = adapter.Relation.create
            return [make(database=model.database, schema=model.schema, identifier=model.name, type="table") for model in models]

        with patch.object(ADAPTERS[self.engine], "list_relations_without_caching", listed):
            yield

    def _invoke(self, *arguments: str) -> dbtRunnerResult:
        result = self._runner(*arguments)
        assert result.success, result.exception or [item.message for item in result.result.results]
        return result

    def _runner(self, *arguments: str) -> dbtRunnerResult:
        folders = {"project-dir": PROJECT, "profiles-dir": self.folder, "target-path": self.folder, "log-path": self.folder}
        given = [f"--{name}={folder}" for name, folder in folders.items()]
        return dbtRunner().invoke(["--quiet", *arguments, "--target", self.engine, *given])
