"""How long it takes to encode one event: ours against bare fastavro and the class's own method, in one run.

    python -m benchmarks.codecs [--rounds 15] [--json]

Every round times every codec once on the same events, in turn, so that a slow moment of the machine hits all of them; medians
over the rounds are compared. "Bare fastavro" gets ready-made dictionaries and writes no header: it is the floor of any solution
on fastavro. Ours starts from the plain tuple and writes the registry's header, too.
"""

import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import fastavro
import typer
from rich.console import Console
from rich.table import Table

from models.events import EventRecord, SourceOffset, TwinEvent
from topics.confluent import ConfluentAvro
from topics.envelope import as_dict, encode_json
from topics.reader import ConfluentReader
from topics.registry import SchemaRegistry
from topics.router import Router

EVENTS = 2_000
TARGET = 1.2
"""Our encoder is to take at most this many times bare fastavro's time."""


def sample(count: int = EVENTS) -> list[EventRecord]:
    """Events as a line of machines makes them: mostly an entity's steps, now and then a parameter."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("entity-created", {"flow": "make", "priority": 5}),
        ("entity-queued", {"resource": "b", "queue": 3}),
        ("entity-started", {"resource": "b", "waited": 4.25}),
        ("entity-released", {"resource": "b", "busy": 5.5}),
        ("parameter-changed", {"path": "resources.b.capacity", "old": 1, "new": 0, "version": 17}),
        ("entity-finished", {"flow": "make", "cycle_time": 31.75, "late": False}),
    ]
    events = []
    for seq in range(1, count + 1):
        kind, payload = kinds[seq % len(kinds)]
        outside = kind == "parameter-changed"
        cause = SourceOffset("twin-config", 3, 80_000 + seq) if outside else seq - 1 if seq > 1 else None
        entity = None if outside else 9_000 + seq // 6
        events.append(EventRecord("Line_A", seq, seq / 7, 1_795_338_000_000_000 + seq * 1_000, kind, entity, cause, payload))
    return events


def codecs(events: list[EventRecord]) -> dict[str, Callable[[], None]]:
    """By name, a function that encodes (or decodes) all events."""
    registry = SchemaRegistry("http://127.0.0.1:9")
    avro = ConfluentAvro(TwinEvent, registry, topic="sim-events")
    avro.use_schema_id(1)
    schema = fastavro.parse_schema(avro.schema)
    dictionaries = [as_dict(event) for event in events]
    models = [TwinEvent.model_validate({**fields, "event_time": fields["event_time"] / 1e6}) for fields in dictionaries]
    encoded = [avro.encode(event) for event in events]
    router = Router("sim-events", serializers={"sim-events": avro})
    reader = ConfluentReader(registry)
    reader._learn(1, json.dumps(avro.schema))

    def bare(fields: dict) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, fields)
        return out.getvalue()

    def each(function: Callable, items: list) -> Callable[[], None]:
        def run() -> None:
            for item in items:
                function(item)

        return run

    return {
        "bare fastavro, from dictionaries": each(bare, dictionaries),
        "ours: Avro with header, from tuples": each(avro.encode, events),
        "ours: routed, with key": each(router.route, events),
        "ours: JSON, from tuples": each(encode_json, events),
        "AvroBaseModel.serialize (one in 20)": each(lambda model: model.serialize(), models[::20]),
        "ours: decode a foreign record": each(reader.decode, encoded),
    }


def measure(rounds: int) -> dict[str, float]:
    """Median microseconds per event, by codec."""
    timed: dict[str, list[float]] = {}
    runs = codecs(sample())
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            count = EVENTS // 20 if "one in 20" in name else EVENTS
            timed.setdefault(name, []).append((time.perf_counter() - begin) / count * 1e6)
    return {name: statistics.median(times) for name, times in timed.items()}


def main(
    rounds: Annotated[int, typer.Option(min=3, max=200, help="Rounds; the median is shown.")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Encode the same events with every codec and compare."""
    medians = measure(rounds)
    floor = medians["bare fastavro, from dictionaries"]
    ratio = medians["ours: Avro with header, from tuples"] / floor
    if as_json:
        print(json.dumps({"us_per_event": medians, "ratio_to_fastavro": ratio, "target": TARGET}))
    else:
        table = Table("codec", "µs per event", "against bare fastavro")
        for name, microseconds in medians.items():
            table.add_row(name, f"{microseconds:.2f}", f"{microseconds / floor:.2f}")
        Console().print(table)
        Console().print(f"{ratio:.2f} times bare fastavro (target: at most {TARGET})")
    raise typer.Exit(0 if ratio <= TARGET else 1)


if __name__ == "__main__":
    typer.run(main)
