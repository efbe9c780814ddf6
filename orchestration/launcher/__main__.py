"""`python -m orchestration.launcher`: the warm process."""

import sys

from orchestration.launcher.warm_process import run_warm_process

run_warm_process(sys.argv[1] if len(sys.argv) > 1 else None)
