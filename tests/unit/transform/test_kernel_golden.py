"""Golden vectors: what the indicators of these bars are, and what the kernel has always made of them, to the bit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from bar_series import Floats, Series, computed
from golden.indicators import COMMAND, EXACT, KERNEL, as_text, exact_rows, kernel_rows

from transform.indicators.kernel import OUTPUTS


def golden_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> Floats:
    return np.array([float(row[name] or "nan") for row in rows])


def test_the_kernel_gives_the_exact_golden_values_within_rounding() -> None:
    rows = golden_rows(EXACT)
    for symbol in ("GOLD", "HALT"):
        mine = [row for row in rows if row["symbol"] == symbol]
        series = Series(*(column(mine, name) for name in ("high", "low", "close", "volume")))
        ours = computed(series)
        for name in OUTPUTS:
            scale = 0 if name in ("rsi_14", "mean_volume_20", "prior_mean_volume_20") else series.close.max()
            np.testing.assert_allclose(ours[name], column(mine, name), rtol=1e-13, atol=1e-14 * scale, err_msg=f"{symbol} {name}")


def test_the_kernels_arithmetic_is_what_its_version_says_to_the_bit() -> None:
    stored = KERNEL.read_text().splitlines()
    now = as_text(kernel_rows()).splitlines()
    changed = [f"- {before}\n+ {after}" for before, after in zip(stored, now, strict=True) if before != after]
    assert not changed, (
        f"the arithmetic changed in {len(changed)} bars: raise kernel.VERSION, so that stored indicators are computed anew, "
        f"and make the golden file anew with `{COMMAND}`. The first:\n{changed[0]}"
    )


def test_the_exact_golden_file_is_what_its_script_makes() -> None:
    assert EXACT.read_text() == as_text(exact_rows())


def test_the_golden_bars_show_every_trait() -> None:
    rows = golden_rows(EXACT)
    traits = {"walk", "tie", "gap", "flat", "jump", "split", "hardly a volume", "only losses", "never moved"}
    assert {row["trait"] for row in rows} == traits
    assert all(row["rsi_14"] == "" for row in rows if row["symbol"] == "HALT")
    assert [row["ts"] for row in rows if row["trait"] == "gap"] == ["2024-03-29"]
