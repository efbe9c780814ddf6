"""`make crash`: rounds of killing, freezing and starving ingestors, and the balance. Exit code 1 when it does not add up."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from crash.balance import Balance
from crash.play import CYCLE, Play
from crash.points import COMMITTING, DELETING, REBALANCING, WRITING

from ingestion.broker import KafkaBroker
from tickhouse.settings import PREFIX

ENOUGH_ROUNDS = 4 * len(CYCLE)
"""By then chance has led to every point."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of what chance decides")
    parser.add_argument("--first", type=int, default=0, help="the number of the first: --first 17 --rounds 1 repeats round 17")
    chosen = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    print(f"seed {chosen.seed}: {chosen.rounds} rounds", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="tickhouse-crash-"))
    with KafkaBroker(folder / "kafka") as broker:
        failed = play(Play(broker, folder, chosen.seed), range(chosen.first, chosen.first + chosen.rounds))
    if failed:
        again = f"make crash ARGS='--seed {chosen.seed} --first {failed[0]} --rounds 1'"
        print(f"FAILED: rounds {failed}; their lakes and logs are in {folder}. Once more: {again}")
    else:
        shutil.rmtree(folder)
    return bool(failed)


def play(game: Play, numbers: range) -> list[int]:
    """Play these rounds and print the closing balance; the numbers of those that failed."""
    harm, balance, failed, started = Counter[str](), Balance(), list[int](), time.monotonic()
    for number in numbers:
        try:
            report = game.round(number)
        except Exception:
            failed.append(number)
            print(f"round {number} FAILED\n{traceback.format_exc()}", flush=True)
            continue
        harm += report.harm
        balance += report.balance
        print(f"round {number}: {report}", flush=True)
    print(f"{len(numbers)} rounds in {time.monotonic() - started:,.0f} s, {len(failed)} failed")
    print("done to ingestors and broker: " + ", ".join(f"{name} {times}" for name, times in sorted(harm.items())))
    print(balance)
    if len(numbers) >= ENOUGH_ROUNDS and (missed := {*WRITING, COMMITTING, DELETING, *REBALANCING} - harm.keys()):
        raise RuntimeError(f"never reached: {', '.join(sorted(missed))}. Does the code go another way now? See crash/points.py")
    return failed


if __name__ == "__main__":
    sys.exit(main())
