"""Judging landed bars by the Great Expectations suites: which rows break which rules, and whether a batch is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from tickhouse.settings import ValidationSettings
from transform.validation.suite import batch_suite, fingerprint, row_suite, rule_of

if TYPE_CHECKING:
    pass

BATCH_ROWS = 200_000
"""Slots are taken together up to so many rows: what one validation holds in memory."""

Reasons = dict[int, list[str]]
"""Row number → the rules that the row breaks."""


class ValidationError(RuntimeError):
    """Great Expectations could not evaluate a rule: neither a pass nor a failure."""


@dataclass(frozen=True)
class Judgement:
    """What a batch came to; `blocked` says why it is refused as a whole, None when it is not."""

    rows: int
    reasons: Mapping[int, list[str]]
    blocked: str | None = None

    @property
    def failures(self) -> Counter[str]:
        """Failing rows by rule; a row counts for each rule that it breaks."""
        return Counter(rule for broken in self.reasons.values() for rule in broken)

    def parts(self, tables: Sequence[pa.Table]) -> Iterator[Reasons]:
        """The reasons for each of the tables that were judged together, row numbers counted from each one's first."""
        first = 0
        for table in tables:
            end = first + table.num_rows
            yield {row - first: broken for row, broken in self.reasons.items() if first <= row < end}
            first = end


def judge_by(limits: ValidationSettings) -> Judge:
    """The process' judge by these limits and the present rules: for each that is made, Great Expectations keeps a folder."""
    return _judge_by(limits, fingerprint(batch_suite(), row_suite()))


@cache
def _judge_by(limits: ValidationSettings, _fingerprint: str) -> Judge:
    return Judge(limits)


class Judge:
    """Holds the suites and the batch definition they run on: an in-memory context, nothing on disk.

    `fingerprint` names the rules, `rules` lists them.
    """

    def __init__(self, limits: ValidationSettings) -> None:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # progress bars are off, and yet a thread would watch over them
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("landed_bars")
        self._limits = limits
        self._definition = asset.add_batch_definition_whole_dataframe("batch")
        batch, row = batch_suite(), row_suite()
        self.fingerprint = fingerprint(batch, row)
        self._batch_rules = {rule_of(expectation.configuration) for expectation in batch.expectations}
        # One suite of both: most of what judging a small batch takes is by the suite.
        self._suite = gx.ExpectationSuite(name="landed_bars", expectations=[*batch.expectations, *row.expectations])
        self.rules = tuple(rule_of(expectation.configuration) for expectation in self._suite.expectations)

    def judge(self, table: pa.Table, name: str) -> Judgement:
        """Judge the bars of `table` (`LANDED_SCHEMA`), which people know as `name`. Raises ValidationError."""
        if not table.num_rows:
            return Judgement(0, {})
        frame = as_frame(table)
        results = self._results(frame, "BOOLEAN_ONLY")
        if all(result.success for result in results.values()):
            return Judgement(table.num_rows, {})  # most batches: which rows fail costs as much again to be told
        results = self._results(frame, "COMPLETE")
        if broken := sorted(rule for rule in self._batch_rules if not self._passed(results, rule)):
            return Judgement(table.num_rows, {}, f"the batch breaks {', '.join(broken)}")
        reasons: Reasons = {}
        for rule in sorted(results):
            for row in () if self._passed(results, rule) else np.unique(results[rule].result["unexpected_index_list"]):
                reasons.setdefault(int(row), []).append(rule)
        return Judgement(table.num_rows, reasons, self._too_many(len(reasons), table.num_rows, name))

    def _too_many(self, failing: int, rows: int, name: str) -> str | None:
        share = 100 * failing / rows
        if rows < self._limits.block_from_rows or share <= self._limits.max_quarantined_pct:
            return None
        return (
            f"{failing} of {rows} rows ({share:.1f} %) of {name} "
            f"fail validation, more than validation.max_quarantined_pct = {self._limits.max_quarantined_pct:g}"
        )

    def _results(self, frame: pd.DataFrame, result_format: Literal["BOOLEAN_ONLY", "COMPLETE"]) -> dict[str, Any]:
        """What Great Expectations says of each rule."""
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        with _configurations_made_once():
            results = batch.validate(self._suite, result_format=result_format).results
        return {rule_of(result.expectation_config): result for result in results}

    @staticmethod
    def _passed(results: Mapping[str, Any], rule: str) -> bool:
        """Raises ValidationError for a rule that could not be evaluated; where the batch is broken nobody asks of its rows."""
        if broken := _exception(results[rule].exception_info):
            raise ValidationError(f"rule {rule} could not be evaluated: {broken}")
        return bool(results[rule].success)


@contextmanager
def _configurations_made_once() -> Iterator[None]:
    """Great Expectations makes a configuration anew each of the hundred times it looks at it: half of a small batch's time."""
    from great_expectations.expectations.expectation import Expectation

    stock: Any = Expectation.configuration
    made: dict[int, tuple[Expectation, Any]] = {}

    def once(expectation: Expectation) -> Any:
        if id(expectation) not in made:
            made[id(expectation)] = expectation, stock.fget(expectation)  # held, so that its id is nobody else's
        return made[id(expectation)][1]

    Expectation.configuration = property(once)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Expectation.configuration = stock  # type: ignore[method-assign]


def as_frame(table: pa.Table) -> pd.DataFrame:
    """The bars as Great Expectations compares them: times, all UTC, without a zone."""
    frame = table.to_pandas(use_threads=False)  # Arrow would keep its threads, and a process with threads cannot be forked
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_localize(None)
    return frame


def _exception(info: dict[str, Any] | None) -> str | None:
    """Great Expectations reports an exception as a failure, flat or nested by metric."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    return next((str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")), None)
