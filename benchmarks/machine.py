"""On what a bench was run: what matters for the figures, and no names of hosts or folders."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.environment import HERE, MONGO_CACHE_GB
from deploy.local.servers import STATE


def described() -> list[str]:
    """As a Markdown list."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr.splitlines()[:1]
    products = ("aiokafka", "faststream", "motor", "pymongo", "pydantic")
    versions = ", ".join(f"{name} {version(name)}" for name in products)
    return [
        "- Each section was measured in one run on one machine, which it names; ratios hold within a section",
        f"- Kafka {_kafka()}, one node; mongod with a cache of {MONGO_CACHE_GB} GB, one node, majority writes",
        f"- Python {platform.python_version()}, {versions}; {' '.join(java)}",
        f"- peers: {', '.join(_pins())}",
    ]


def hardware() -> str:
    """The machine itself."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return (
        f"{os.cpu_count()} cores ({cpu[1] if cpu else 'unknown'}), {int(memory[1]) // 2**20 if memory else '?'} GB, "
        f"{platform.system()} {platform.release().partition('-')[0]}"
    )


def _kafka() -> str:
    jars = sorted((STATE / "kafka-libs").glob("kafka-clients-*.jar"))
    return jars[0].stem.removeprefix("kafka-clients-") if jars else ""


def _pins() -> list[str]:
    found = []
    for file in sorted((HERE / "peers").glob("*/requirements.txt")):
        found += re.findall(r"^(?:quixstreams|bytewax|faust-streaming)==\S+", file.read_text(), re.MULTILINE)
    pom = (HERE / "peers/java/pom.xml").read_text()
    found += [
        f"{name}=={number}"
        for name, number in re.findall(
            r"<artifactId>(kafka-streams|mongodb-driver-sync)</artifactId>\s*<version>(\S+)</version>", pom
        )
    ]
    return found
