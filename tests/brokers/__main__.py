"""Runs a real Kafka and a real registry until interrupted: `python -m tests.brokers --kafka-port 9092 --registry-port 8081`.

Prints one line of JSON with the addresses once both answer, and nothing else.
"""

import argparse
import json
import signal
import tempfile
import threading
from pathlib import Path

from tests.brokers.java_process import free_ports
from tests.brokers.real_kafka import RealKafka
from tests.brokers.real_registry import RealRegistry


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.brokers", description=__doc__)
    parser.add_argument("--kafka-port", type=int, default=0, help="port of the first node, 0 for a free one")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3), help="Kafka nodes (three replicate)")
    parser.add_argument("--registry-port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--data", type=Path, default=None, help="folder of the data; a temporary one when absent")
    chosen = parser.parse_args()
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="twin-brokers-", ignore_cleanup_errors=True) as scratch:
        data = (chosen.data or Path(scratch)).resolve()
        ports = free_ports(2 * chosen.nodes)
        if chosen.kafka_port:
            ports[0] = chosen.kafka_port
        kafka = RealKafka(data / "kafka", nodes=chosen.nodes, ports=ports)
        registry = RealRegistry(data / "registry", port=chosen.registry_port)
        try:
            kafka.start()
            registry.start()
            print(json.dumps({"bootstrap": kafka.bootstrap, "registry": registry.url, "data": str(data)}), flush=True)
            stopped.wait()
        finally:
            registry.stop()
            kafka.stop()


if __name__ == "__main__":
    main()
