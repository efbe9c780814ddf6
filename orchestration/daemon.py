"""`python -m orchestration.daemon`: Dagster's daemon, without its pauses: 5 s for sensors, 30 s for backfills."""

from dagster._daemon import controller, sensor
from dagster._daemon.cli import main

LOOK_SECONDS = 0.1
BACKFILL_SECONDS = 2
"""So often it is seen whether somebody asked for a backfill, and how far those are that go on."""

if __name__ == "__main__":
    sensor.MIN_INTERVAL_LOOP_TIME = LOOK_SECONDS  # type: ignore[assignment]
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_SECONDS
    main()
