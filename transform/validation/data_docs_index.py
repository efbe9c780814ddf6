"""The first page of the Data Docs: a line for each run, which rules failed and how often, and where its pages are.

Great Expectations' own index is drawn by scripts from the web and is empty without them; this one needs nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from transform.validation.suite import RULE

NAME = "runs.html"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>What validation found</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
<h1>What validation found</h1>
<p>A line is what was validated of a partition on one day (UTC), the newest first. Rows that failed are in quarantine:
<code>tickhouse quarantine list</code> has them all. <a href="index.html">Great Expectations' index</a>.</p>
<table>
<thead><tr><th>validated until, UTC</th><th>topic</th><th>partition</th><th>offsets</th><th>bars</th><th>failed</th>
<th>pages</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


@dataclass(frozen=True)
class RunPage:
    """One run: what it is of, the results of its suites as Great Expectations stored them, and their pages, in one order."""

    validated_until: str
    topic: str
    partition: str
    offsets: str
    results: tuple[Path, ...]
    pages: tuple[str, ...]


def write_index(site: Path, runs: list[RunPage]) -> None:
    """Write the page into the site's folder; it appears whole."""
    rows = "\n".join(_line(run) for run in sorted(runs, key=lambda run: (run.validated_until, run.partition), reverse=True))
    written = site / f".{NAME}"
    written.write_text(_PAGE.format(rows=rows or '<tr><td colspan="7">Nothing was validated in this time.</td></tr>'))
    written.replace(site / NAME)


def _line(run: RunPage) -> str:
    results = [json.loads(path.read_text()) for path in run.results]
    counts = [each["result"].get("element_count", 0) for result in results for each in result["results"]]
    failed = [_failed(each) for result in results for each in result["results"] if not each["success"]]
    links = [
        f'<a href="{escape(page)}">{escape(result["suite_name"])}</a>' for page, result in zip(run.pages, results, strict=True)
    ]
    cells = (run.validated_until, run.topic, run.partition, run.offsets)
    told = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    found = "<br>".join(failed) or "nothing"
    return f'<tr>{told}<td class="number">{max(counts):,}</td><td>{found}</td><td>{"<br>".join(links)}</td></tr>'


def _failed(result: dict[str, Any]) -> str:
    configuration, count = result["expectation_config"], result["result"].get("unexpected_count")
    said = f" ({escape(configuration['notes'])})" if configuration.get("notes") else ""
    times = "" if count is None else f"{count:,} × "
    return f"{times}<code>{escape(configuration['meta'][RULE])}</code>{said}"
