"""`python -m apps.cli` is `tickhouse`: how one part starts another whatever the PATH says."""

from apps.cli.main import app

app()
