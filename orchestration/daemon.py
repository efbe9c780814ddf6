"""`python -m orchestration.daemon`: Dagster's daemon, whose sensors are looked at without its pause of five seconds."""

from dagster._daemon import sensor
from dagster._daemon.cli import main

LOOK_SECONDS = 0.1

if __name__ == "__main__":
    sensor.MIN_INTERVAL_LOOP_TIME = LOOK_SECONDS  # type: ignore[assignment]
    main()
