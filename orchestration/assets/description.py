"""What people are told of a dbt seed or model: its group and owner, what it is made with, its columns, where to read on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from orchestration.links import Links
from orchestration.teams import team

Properties = Mapping[str, Any]

_UNKNOWN = "?"


class Descriptions:
    """Read once from dbt's manifest; nothing here is looked at while a build runs."""

    def __init__(self, manifest: Properties, links: Links) -> None:
        self._owners = {group["name"]: group["owner"]["name"] for group in manifest["groups"].values()}
        self._types = _column_types(manifest["nodes"].values())
        self._shown_by = _shown_by(manifest["exposures"].values())
        self._links = links

    def describe(self, spec: dg.AssetSpec, node: Properties) -> dg.AssetSpec:
        """The asset with what dbt's project says of it. The SQL is a link away, in the models' documentation."""
        materialized = node["config"]["materialized"]
        made_with = {"python"} if node.get("language") == "python" else {"seed"} if materialized == "seed" else set()
        return spec.replace_attributes(
            description=node["description"].strip(),
            group_name="rules" if materialized == "seed" else node["fqn"][1],
            owners=[team(self._owners[node["group"]])],
            kinds={"dbt", "duckdb", *made_with},
            metadata={**spec.metadata, "dagster/column_schema": self._columns(node), **self._links_of(node)},
        )

    def _columns(self, node: Properties) -> dg.TableSchema:
        return dg.TableSchema(
            [
                dg.TableColumn(name, self._types.get(name, _UNKNOWN), column["description"])
                for name, column in node["columns"].items()
            ]
        )

    def _links_of(self, node: Properties) -> dict[str, dg.MetadataValue]:
        shown = [(exposure["label"], self._links.exposure(exposure)) for exposure in self._shown_by[node["unique_id"]]]
        return {
            "dbt_docs": dg.MetadataValue.url(self._links.model_docs(node["resource_type"], node["unique_id"])),
            **{label.lower().replace(" ", "_"): dg.MetadataValue.url(url) for label, url in shown if url},
        }


def _column_types(nodes: Iterable[Properties]) -> dict[str, str]:
    """A column's type by its name, as contracts and seeds say it: one name is one thing everywhere."""
    return {
        name: kind
        for node in nodes
        for name, column in node.get("columns", {}).items()
        if (kind := column["data_type"] or node["config"].get("column_types", {}).get(name))
    }


def _shown_by(exposures: Iterable[Properties]) -> Mapping[str, list[Properties]]:
    shown = defaultdict(list)
    for exposure in exposures:
        for node in exposure["depends_on"]["nodes"]:
            shown[node].append(exposure)
    return shown
