"""Fetches the jars of the real broker and registry, once, by package name from deploy/brokers/pom.xml.

They are kept in the project's `.run/` folder, one folder per version, with a marker written last: a fetch that was cut
short is done again. A lock file keeps two test runs from fetching into the same folder.
"""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "deploy" / "brokers" / "pom.xml"
RUN = ROOT / ".run"
JAVA_MAJOR_MIN = 17
FETCH_TIMEOUT_S = 900


class Unavailable(Exception):
    """A real broker or registry cannot be had on this machine; the message says what is missing."""


def version_of(name: str) -> str:
    """The pinned version of `kafka` or `apicurio`."""
    found = re.search(rf"<{name}\.version>([^<]+)<", POM.read_text())
    assert found, f"{POM} does not pin {name}.version"
    return found.group(1)


def missing() -> str | None:
    """What this machine lacks to run a real broker, or None."""
    java = shutil.which("java")
    if java is None:
        return f"no java on the PATH (Java {JAVA_MAJOR_MIN} or newer is needed)"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found.group(1)) < JAVA_MAJOR_MIN:
        return f"java is too old ({said.splitlines()[0] if said else 'no answer'}; {JAVA_MAJOR_MIN} or newer is needed)"
    if shutil.which("mvn") is None:
        return "no mvn on the PATH (Maven fetches the jars)"
    return None


def fetch(execution: str, name: str) -> Path:
    """The folder with the unpacked runtime; fetched when absent. Raises Unavailable with Maven's last words."""
    if lack := missing():
        raise Unavailable(lack)
    home = RUN / f"{name}-{version_of(name)}"
    home.mkdir(parents=True, exist_ok=True)
    marker = home / ".complete"
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            return home
        goal = {"kafka": "copy-dependencies", "registry": "unpack"}[execution]
        command = ["mvn", "-B", "-q", "-f", str(POM), f"-Dout={home / 'lib'}"]
        command.append(f"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:{goal}@{execution}")
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"Maven did not fetch {name} within {FETCH_TIMEOUT_S} s") from error
        if done.returncode:
            raise Unavailable(f"Maven could not fetch {name}: {(done.stdout + done.stderr).strip()[-600:]}")
        marker.touch()
    return home
