"""The models' documentation is one page, served as it is at each request."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from apps.cli.docs_site import docs_server


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "static_index.html"
    page.write_text("<h1>first</h1>")
    return page


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where Data Docs will be; nothing is there yet."""
    return tmp_path / "site"


@pytest.fixture
def address(page: Path, site: Path) -> Iterator[str]:
    server = docs_server(page, "127.0.0.1", 0, lambda: site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_newest_page_is_served(address: str, page: Path) -> None:
    assert urllib.request.urlopen(address).read() == b"<h1>first</h1>"
    page.write_text("<h1>second</h1>")
    assert urllib.request.urlopen(f"{address}/index.html?x=1").read() == b"<h1>second</h1>"


def test_data_docs_are_below_validation(address: str, site: Path) -> None:
    assert b"are being built" in urllib.request.urlopen(f"{address}/validation").read()
    (site / "validations").mkdir(parents=True)
    (site / "runs.html").write_text("<h1>found</h1>")
    (site / "validations" / "run.html").write_text("<h1>a run</h1>")
    answer = urllib.request.urlopen(f"{address}/validation/")
    assert (answer.read(), answer.headers["Content-Security-Policy"]) == (b"<h1>found</h1>", "img-src 'self' data:")
    assert urllib.request.urlopen(f"{address}/validation/validations/run.html?x=1").read() == b"<h1>a run</h1>"


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/validation/../static_index.html", "/validation/%2e%2e/static_index.html", "/validation/none/"],
)
def test_nothing_else_of_the_machine_is(address: str, site: Path, path: str) -> None:
    (site / "none").mkdir(parents=True)
    with pytest.raises(HTTPError, match="404"):
        urllib.request.urlopen(f"{address}{path}")


def test_a_head_tells_of_no_file_either(address: str) -> None:
    with pytest.raises(HTTPError, match="501"):
        urllib.request.urlopen(urllib.request.Request(f"{address}/pyproject.toml", method="HEAD"))


def test_a_taken_port_names_the_setting(address: str, page: Path) -> None:
    with pytest.raises(OSError, match=r"Set docs\.port \(TICKHOUSE_DOCS__PORT\)"):
        docs_server(page, "127.0.0.1", int(address.rpartition(":")[2]), lambda: page.parent)
