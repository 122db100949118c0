"""Apache Kafka in KRaft mode as child processes: one combined node, or three that replicate.

Data lives in a folder of the caller's; ports are free ones and stay the same over a restart. The settings shorten what a
test would otherwise wait for (first rebalance, session time-outs, the sweep for timed-out transactions, the cleaner) and
change nothing in what the broker promises.
"""

import base64
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from tests.brokers import maven
from tests.brokers.java_process import JAVA_OPTIONS, JavaServer, ServerDied, free_ports
from tests.brokers.secured import Secured

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
HEAP_MB = 384
FORMAT_TIMEOUT_S = 60


def answers_metadata(port: int, brokers: int) -> bool:
    """Whether a Metadata request (version 1, no topics) on `port` is answered with at least so many live brokers."""
    body = struct.pack(">hhih", 3, 1, 7, 4) + b"poll" + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
            connection.settimeout(2.0)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = b""
            while len(answer) < 12:
                chunk = connection.recv(12 - len(answer))
                if not chunk:
                    return False
                answer += chunk
    except OSError:
        return False
    return struct.unpack(">iii", answer)[2] >= brokers


class RealKafka:
    """A cluster of `nodes` combined broker-controllers under `data`. Use `start()`, then `bootstrap`."""

    kind = "kafka"

    def __init__(self, data: Path, *, nodes: int = 1, ports: list[int] | None = None, secured: Secured | None = None) -> None:
        self.secured = secured
        self.home = maven.fetch("kafka", "kafka")
        self.name = f"Apache Kafka {maven.version_of('kafka')}"
        self.data = data
        self.nodes = nodes
        drawn = ports or free_ports(2 * nodes)
        self.ports, self.controller_ports = drawn[:nodes], drawn[nodes:]
        self.servers = [self._server(node) for node in range(nodes)]

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self) -> None:
        """Formats what is not formatted, starts all nodes and waits until each sees the whole cluster."""
        for node, server in enumerate(self.servers):
            self._format(node)
            server.launch()
        for server in self.servers:
            server.wait_ready()
        if self.secured is not None:
            self.secured.create_users(self.bootstrap)

    def kill9(self, node: int = 0) -> None:
        self.servers[node].kill9()

    def restart(self, node: int = 0) -> None:
        """Starts a dead node again on its own ports and data; a living one is stopped first."""
        self.servers[node].stop()
        self.servers[node].launch()
        self.servers[node].wait_ready()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def _server(self, node: int) -> JavaServer:
        folder = self.data / f"node-{node + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.properties").write_text(self._properties(node, folder))
        heap_and_log = [f"-Xmx{HEAP_MB}m", f"-Dlog4j2.configurationFile={maven.POM.parent / 'log4j2.properties'}"]
        return JavaServer(
            [*heap_and_log, "-cp", f"{self.home}/lib/*", "kafka.Kafka", str(folder / "server.properties")],
            log=folder / "kafka.log",
            cwd=folder,
            ready=lambda: answers_metadata(self.ports[node], self.nodes),
        )

    def _format(self, node: int) -> None:
        """Gives the node its storage identity. The JVM run that makes the template is paid once per Kafka version."""
        target = self.data / f"node-{node + 1}" / "data"
        if (target / "meta.properties").exists():
            return
        template = self.home / "formatted"
        if not (template / "meta.properties").exists():
            scratch = self.home / f"formatting-{os.getpid()}"
            scratch.mkdir(exist_ok=True)
            properties = self._properties(node, scratch).replace(f"log.dirs={scratch}/data", f"log.dirs={scratch}/out")
            (scratch / "server.properties").write_text(properties)
            tool = ["java", *JAVA_OPTIONS, "-cp", f"{self.home}/lib/*", "kafka.tools.StorageTool", "format"]
            tool += ["-t", CLUSTER_ID, "-c", str(scratch / "server.properties")]
            done = subprocess.run(tool, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
            if done.returncode:
                raise ServerDied(f"the storage could not be formatted: {done.stdout[-600:]}{done.stderr[-600:]}")
            if not template.exists():
                (scratch / "out").rename(template)
            shutil.rmtree(scratch)
        shutil.copytree(template, target)
        directory = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        meta = f"version=1\ncluster.id={CLUSTER_ID}\nnode.id={node + 1}\ndirectory.id=A{directory[1:]}\n"
        (target / "meta.properties").write_text(meta)

    def _properties(self, node: int, folder: Path) -> str:
        replicas = 3 if self.nodes >= 3 else 1
        in_sync = 2 if self.nodes >= 3 else 1
        voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(self.controller_ports))
        settings = {
            "process.roles": "broker,controller",
            "node.id": node + 1,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]},CONTROLLER://127.0.0.1:{self.controller_ports[node]}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.ports[node]}",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": f"{folder}/data",
            "num.network.threads": 2,
            "num.io.threads": 4,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "log.cleaner.backoff.ms": 500,
            "log.retention.check.interval.ms": 1000,
            "log.initial.task.delay.ms": 500,
            "offsets.topic.num.partitions": 5,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 5,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
            # A node killed with -9 keeps its lease at the controller this long; a restart waits for it.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
        }
        if self.secured is not None:
            self.secured.add_to(settings)
        return "".join(f"{name}={value}\n" for name, value in settings.items())
