"""Apicurio Registry as a child process, spoken to through its Confluent-compatible API."""

import urllib.request
from pathlib import Path

from tests.brokers import maven
from tests.brokers.java_process import JavaServer, free_ports

HEAP_MB = 256


class RealRegistry:
    """Kept in a file database under `data`, so that ids survive a restart. Use `start()`, then `url`."""

    kind = "apicurio"

    def __init__(self, data: Path, *, port: int = 0) -> None:
        home = maven.fetch("registry", "apicurio") / "lib"
        version = maven.version_of("apicurio")
        self.name = f"Apicurio Registry {version}"
        self.port = port or free_ports(1)[0]
        data.mkdir(parents=True, exist_ok=True)
        self.server = JavaServer(
            [
                f"-Xmx{HEAP_MB}m",
                "-Dquarkus.http.host=127.0.0.1",
                f"-Dquarkus.http.port={self.port}",
                f"-DREGISTRY_DATASOURCE_URL=jdbc:h2:file:{data / 'registry'};WRITE_DELAY=0",
                "-Dquarkus.log.console.color=false",
                "-jar",
                str(home / f"apicurio-registry-app-{version}-runner.jar"),
            ],
            log=data / "registry.log",
            cwd=home,
            ready=self._answers,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def start(self) -> None:
        self.server.launch()
        self.server.wait_ready()

    def kill9(self) -> None:
        self.server.kill9()

    def restart(self) -> None:
        self.server.stop()
        self.start()

    def stop(self) -> None:
        self.server.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False
