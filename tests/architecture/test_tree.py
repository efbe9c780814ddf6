"""The tree's own rules: folders are packages, files are short, names say something, settings have one home."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tickhouse", "ingestion", "transform", "orchestration", "dbt_project", "apps", "infra")
TOP_LEVEL = ("orchestration", "ingestion", "transform", "dbt_project", "apps", "infra", "tests", "docs", "tickhouse")
TOP_LEVEL_FILES = ("workspace.yaml", "pyproject.toml", "docker-compose.yml", "README.md", "LICENSE", "Makefile", "tickhouse.yaml")
LONGEST_FILE = 320
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared", "process_data"}


def committed() -> list[Path]:
    """Files git knows or would add: what lies about, ignored, is nobody's concern."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in names if (path := ROOT / name).is_file()]


def python_files(*folders: str) -> Iterator[Path]:
    return (path for path in committed() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders)


def test_the_agreed_names_are_at_the_top() -> None:
    missing = [name for name in TOP_LEVEL if not (ROOT / name).is_dir()]
    missing += [name for name in TOP_LEVEL_FILES if not (ROOT / name).is_file()]
    assert missing == []


def test_every_folder_with_python_is_a_package_that_says_why_it_is_one() -> None:
    silent = []
    for folder in {path.parent for path in python_files(*PACKAGES)}:
        if folder.is_relative_to(ROOT / "dbt_project" / "models"):  # dbt's, not Python's: models run by file
            continue
        init = folder / "__init__.py"
        if not init.is_file() or not ast.get_docstring(ast.parse(init.read_text())):
            silent.append(str(folder.relative_to(ROOT)))
    assert silent == []


def test_test_folders_are_no_packages() -> None:
    assert [str(path.relative_to(ROOT)) for path in python_files("tests") if path.name == "__init__.py"] == []


def test_files_stay_short() -> None:
    files = python_files(*PACKAGES, "benchmarks")
    assert {str(path.relative_to(ROOT)): n for path in files if (n := len(path.read_text().splitlines())) > LONGEST_FILE} == {}


def test_names_say_what_a_thing_is() -> None:
    vague = set()
    for path in python_files(*PACKAGES):
        names = {*path.relative_to(ROOT).with_suffix("").parts}
        names |= {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        vague |= {
            f"{path.relative_to(ROOT)}: {name}"
            for name in names
            if VAGUE & {name.lower(), *re.split(r"_|(?<=[a-z])(?=[A-Z])", name)}
        }
    assert vague == set()


def test_only_settings_reads_the_environment() -> None:
    readers = []
    for path in python_files(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            names = {"environ", "environb", "getenv", "putenv", "unsetenv"}
            if (
                isinstance(node, ast.Attribute)
                and node.attr in names
                and isinstance(node.value, ast.Name)
                and node.value.id == "os"
            ):
                readers.append(f"{path.relative_to(ROOT)}:{node.lineno}")
            if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
                readers.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [reader for reader in readers if not reader.startswith("tickhouse/settings.py:")] == []


def test_the_lock_holds_names_versions_and_hashes_but_no_addresses() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    entry = re.compile(r"#.*|    # .*|[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not entry.fullmatch(line)] == []
    assert [line for line in lines if "://" in line or "index-url" in line or "/" in line.replace("(pyproject.toml)", "")] == []


@pytest.mark.parametrize("secret", ["parent folder", "home folder"])
def test_no_file_names_this_machine(secret: str) -> None:
    folder = {"parent folder": ROOT, "home folder": Path.home()}[secret]
    if len(folder.parts) < 3 and secret == "home folder":  # /root says nothing of anybody
        return
    named = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if re.search(rf"{re.escape(str(folder))}(?![\w.-])", text):
            named.append(str(path.relative_to(ROOT)))
    assert named == []
