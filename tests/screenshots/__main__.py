"""`make screenshots`: pictures of Dagster for the docs, taken of a demo in a real browser, with what people click."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tickhouse.settings import PREFIX, process_environment

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = {"width": 1600, "height": 800}
COLOURS = 128
PORTS = ("METRICS__PORT", "API__PORT", "PAGES__PORT", "DAGSTER__PORT", "DAGSTER__CODE_SERVER_PORT", "DOCS__PORT")
DEADLINE_SECONDS = 600
_MONTHS = "[2008-01...2008-12]"


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser_path is None:
        sys.exit("needs Chromium. On Debian or Ubuntu, as root: apt-get install -y chromium")
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="light", timezone_id="UTC")
        page.set_default_timeout(60_000)
        take_all(page, address)
        browser.close()


@contextmanager
def demo() -> Iterator[str]:
    """A demo that has published everything; yields Dagster's address."""
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as folder:
        ports = dict(zip(PORTS, _free_ports(len(PORTS) + 1), strict=False))
        broker = f"127.0.0.1:{_free_ports(1)[0]}"
        own = {f"{PREFIX}{name}": str(port) for name, port in ports.items()}
        own |= {f"{PREFIX}DATA_DIR": folder, f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS": broker}
        output = Path(folder) / "demo.log"
        command = [sys.executable, "-m", "apps.cli", "demo", "--live-dates", "20", "--deadline", str(DEADLINE_SECONDS)]
        with output.open("wb") as log:
            process = subprocess.Popen(command, env=process_environment() | own, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(lambda: "Everything stays up" in output.read_text(), process, output)
            yield f"http://127.0.0.1:{ports['DAGSTER__PORT']}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def take_all(page: Page, address: str) -> None:
    """A backfill first, and the documentation, as people start them; then the pictures."""
    page.goto(f"{address}/locations/tickhouse/jobs/backfill")
    page.get_by_role("button", name="Materialize all").click()
    months = page.get_by_placeholder(re.compile("^ex: "))
    months.fill(_MONTHS)
    months.press("Enter")
    page.get_by_text("12 partitions").wait_for()
    take(page, "backfill-launch")
    page.get_by_role("button", name="Launch backfill").click()
    take(page, "backfill", f"{address}{_wait_for_success(address, 'backfill')}", "RUN_SUCCESS")
    page.goto(f"{address}/locations/tickhouse/jobs/document")
    page.get_by_role("button", name="Materialize").first.click()
    _wait_for_success(address, "document")

    take(page, "groups", f"{address}/asset-groups", "serving")
    page.get_by_role("button", name="Hide navigation").click()
    upstream = "/assets/published_snapshot?view=lineage&lineageScope=upstream&lineageDepth=20"
    take(page, "graph", f"{address}{upstream}", "published_snapshot", height=1000)
    page.get_by_role("button", name="Show navigation").click()

    take(page, "run", f"{address}{_wait_for_success(address, 'build')}", "RUN_SUCCESS")
    take(page, "asset", f"{address}/assets/fct_indicator", "Row count")
    take(page, "checks", f"{address}/assets/validated_slot?view=checks", "rows_are_valid")
    take(page, "topic", f"{address}/assets/bar_topic", "end_offset")
    take(page, "automation", f"{address}/automation", "run_retention_schedule")


def take(page: Page, name: str, address: str | None = None, once: str | None = None, height: int = SIZE["height"]) -> None:
    """Write docs/images/dagster-<name>.png, in few colours: of the page at `address`, as soon as the text `once` is there."""
    page.set_viewport_size({**SIZE, "height": height})
    if address:
        page.goto(address)
    if once:
        page.locator(f"text={once} >> visible=true").first.wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)  # what moves has come to rest
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
    path = IMAGES / f"dagster-{name}.png"
    picture.save(path, optimize=True)
    print(f"docs/images/{path.name}: {path.stat().st_size / 1024:.0f} kB", flush=True)


def _wait_for_success(address: str, job: str) -> str:
    """The path of the job's newest run, once it has succeeded."""
    query = f'{{runsOrError(limit: 1, filter: {{pipelineName: "{job}"}}) {{... on Runs {{results {{runId status}}}}}}}}'
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        asked = Request(f"{address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"})
        with urlopen(asked, timeout=60) as answer:
            runs = json.load(answer)["data"]["runsOrError"]["results"]
        if runs and runs[0]["status"] == "SUCCESS":
            return f"/runs/{runs[0]['runId']}"
        time.sleep(1)
    sys.exit(f"no run of {job} succeeded within {DEADLINE_SECONDS} s")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _number in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(is_true: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the demo did not come up:\n{output.read_text()}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
