"""Environments for peers whose dependencies conflict with ours, made when they are first needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring.process import ROOT
from tickhouse.settings import process_environment


def ensure_environment(name: str, lock: Path) -> Path:
    """The interpreter of `.venv-<name>` in the project's folder, which holds exactly what `lock` says.

    It is made, or brought up to date, when it is not there or of another lock. Raises CalledProcessError when that fails.
    """
    folder = ROOT / f".venv-{name}"
    python, mark = folder / "bin" / "python", folder / ".locked"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return python
    environment = {**process_environment(), "UV_SYSTEM_CERTS": "true"}  # as the Makefile says, and why
    print(f"Making {folder.name} from {lock.relative_to(ROOT)}", flush=True)
    make = ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
    install = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "--compile-bytecode", str(lock)]
    for command in (make, install):
        subprocess.run([sys.executable, "-m", "uv", *command], check=True, env=environment)
    mark.write_text(digest)
    return python
