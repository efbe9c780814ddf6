"""Ours as a build runs it: the model itself, by dbt, which tells how long the model took."""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.computing.ours import count_rows, warm_up
from benchmarks.computing.work import FULL, MEBIBYTE, Work
from benchmarks.measuring.meter import peak_bytes
from tickhouse.settings import load_settings
from transform.dbt import run_dbt
from transform.warehouse import open_warehouse

if __name__ == "__main__":
    work, settings = Work.from_arguments(), load_settings()
    warm_up()
    anew = ["--full-refresh"] if work.step == FULL else []
    started = time.perf_counter()
    result = run_dbt(settings, "--quiet", "run", "--select", "int_indicator", *anew)
    whole = time.perf_counter() - started
    if not result.success:
        raise RuntimeError(f"the model failed; see {settings.log_path}")
    ran: Any = result.result
    (model,) = ran.results
    with open_warehouse(settings) as connection:
        rows = count_rows(connection, "int_indicator", work.change_seq)
    seconds = model.execution_time
    more = {"seconds": seconds, "seconds of dbt in all": whole, "MiB at most": peak_bytes() / MEBIBYTE, "rows": rows}
    print(json.dumps({"rows/s": rows / seconds, **more}))
