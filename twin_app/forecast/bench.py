"""Where forks are run: takes tasks as bytes and gives answers as bytes, in any process. Knows one question at a time.

A task is a msgpack list [verb, arguments...]; an answer is ["done", value], ["failed", {code, message, place, remedy}],
["too-far", reached] or ["cancelled"].
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgpack
import numpy as np
import orjson

from models.errors import TwinError
from models.events import us_from_utc, utc_from_us
from models.forecasts import ForecastRecord
from topics.confluent import ConfluentAvro
from topics.specs import COMMAND_BYTES_MAX
from twin_app.forecast.contrast import first_difference
from twin_app.forecast.estimates import Array
from twin_app.forecast.fork import Fork
from twin_app.forecast.headroom import MORE_MEMORY, OUT_OF_MEMORY
from twin_app.forecast.layout import Layout
from twin_app.forecast.question import Question
from twin_app.forecast.replication import ENTRIES_MAX, ENTRIES_SLACK, Cancelled, Prepared, TooFar, prepare, replicate
from twin_app.forecast.revision import revise
from twin_app.kernel import cushion

CONTRAST_SALT = 1
"""The replication in which a scenario's first point of difference is looked for."""

BODY_BYTES_MAX = 4 * COMMAND_BYTES_MAX - 4096
"""Of an encoded record: what the forecasts topic takes, less its envelope."""

Answer = list[Any]


class Sheaf(NamedTuple):
    """Rows of one future: `rows` is their bytes. `drew`: some of them drew a random number. `took_s`: of process time."""

    rows: bytes
    drew: bool
    took_s: float


class Bench:
    """Performs tasks, one after the other. `wanted` is asked now and then whether the answer is still to be worked on."""

    def __init__(self, wanted: Callable[[], bool] = lambda: True) -> None:
        self._wanted = wanted
        self._question: Question | None = None
        self._layout: Layout | None = None
        self._fresh: Prepared | None = None
        self._encoders: dict[int, ConfluentAvro] = {}

    def perform(self, task: bytes) -> bytes:
        """Do one task. Never raises for what is wrong with a model, a question or a snapshot: the answer says it."""
        gc.disable()  # a fork is one large structure of cycles: it is collected at once, when it is of no use any more
        try:
            answer = self._answer(task)
        finally:
            gc.enable()
        return msgpack.packb(answer)

    def _answer(self, task: bytes) -> Answer:
        try:
            cushion.put_back()
            verb, *arguments = msgpack.unpackb(task, strict_map_key=False)
            return ["done", getattr(self, f"_{verb}")(*arguments)]
        except Cancelled:
            return ["cancelled"]
        except TooFar as error:
            return ["too-far", error.reached]
        except TwinError as error:
            return ["failed", {"code": error.code, "message": error.message, "place": error.place, "remedy": error.remedy}]
        except MemoryError:
            return self._out_of_memory()
        except Exception as error:
            return ["failed", _failure("fork-failed", f"{type(error).__name__}: {str(error)[:500]}")]

    # -- the verbs
    def _take(self, plain: bytes) -> None:
        """From here on it is about this question."""
        self._fresh = None
        question = Question.from_plain(msgpack.unpackb(plain, strict_map_key=False))
        self._fresh = prepare(question, 0, 0)
        self._question, self._layout = question, Layout.of(question, cast(Fork, self._fresh.live.twin))

    def _replicate(self, future: int, salts: list[int], first: bool) -> Sheaf:
        """Rows of one future, for each salt. The `first` of all finds out how far it can look."""
        question, layout = self._about()
        limit = ENTRIES_MAX if first else ENTRIES_MAX * ENTRIES_SLACK
        started = time.process_time()
        rows = []
        for salt in salts:
            fresh, self._fresh = (self._fresh, None) if future == 0 else (None, self._fresh)
            rows.append(replicate(question, layout, future, salt, entries_max=limit, wanted=self._wanted, fresh=fresh))
            if not self._wanted():
                raise Cancelled
        matrix = np.stack(rows)
        took_s = time.process_time() - started
        gc.collect(0)
        return Sheaf(matrix.tobytes(), bool(matrix[:, -1].any()), took_s)

    def _contrast(self, future: int) -> dict[str, Any] | None:
        return first_difference(self._about()[0], future, CONTRAST_SALT, self._wanted)

    def _revise(
        self,
        sheaves: list[list[bytes]],
        refused: dict[int, list[str]],
        contrasts: dict[int, dict[str, Any] | None],
        asking: dict[str, Any],
        last: bool,
        more: bool,
        entities: int | None,
        schema_id: int | None,
    ) -> dict[str, Any]:
        """The record of a revision: Avro for the topic under `schema_id`, or JSON. `more`: it is not final, however precise.

        What is too large for a record lists fewer `entities`, at last none. Raises TwinError `forecast-too-large`.
        """
        question, layout = self._about()
        asking["created_at"] = utc_from_us(asking.pop("created_at_us"))
        matrices = [_matrix(part, layout) for part in sheaves]
        for most in (entities, 100, 0):
            record = revise(question, layout, matrices, refused, contrasts, asking, last=last, entities=most)
            record["final"] = record["final"] and not more
            body = orjson.dumps(record) if schema_id is None else self._encoder(schema_id).encode(record)
            if schema_id is None or len(body) <= BODY_BYTES_MAX:
                break
        else:
            raise TwinError(
                "forecast-too-large", f"one revision takes {len(body):,} bytes", remedy="ask for fewer scenarios at a time"
            )
        return {
            "body": body,
            **{name: record[name] for name in ("final", "precise", "deterministic", "replications", "sentence")},
            "told": _told(question, record) if record["answers"] else None,
        }

    # -- inside
    def _out_of_memory(self) -> Answer:
        cushion.give_up()
        self._question = self._layout = self._fresh = None
        return ["failed", _failure(OUT_OF_MEMORY, "the fork needed more memory than it may have")]

    def _about(self) -> tuple[Question, Layout]:
        if self._question is None or self._layout is None:
            raise TwinError("no-question", "there is no question to work on")
        return self._question, self._layout

    def _encoder(self, schema_id: int) -> ConfluentAvro:
        if schema_id not in self._encoders:
            self._encoders = {schema_id: encoder(schema_id)}
        return self._encoders[schema_id]


def encoder(schema_id: int) -> ConfluentAvro:
    """Avro for forecast records under an id that the registry gave elsewhere."""
    made = ConfluentAvro(ForecastRecord, cast(Any, None), subject="known by its id")
    made.use_schema_id(schema_id)
    return made


def _told(question: Question, record: dict[str, Any]) -> dict[str, Any]:
    """The answers to standing questions, and what they rest on: plain data, for who tells others."""
    names = ("id", "as_of_seq", "as_of_sim_time", "as_of_event_time", "deterministic", "replications", "answers")
    told = {name: record[name] for name in names} | {"life": question.snapshot["earlier"]}
    told["as_of_us"] = us_from_utc(told.pop("as_of_event_time"))
    for answer in told["answers"]:
        for case in answer["cases"]:
            case["event_us"] = None if case["sim_time"] is None else us_from_utc(question.instant(case["sim_time"]))
    return told


def _matrix(parts: list[bytes], layout: Layout) -> Array:
    width = layout.parts()["drew"].stop
    return np.frombuffer(b"".join(parts), dtype=np.float64).reshape(-1, width)


def _failure(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "place": None, "remedy": MORE_MEMORY if code == OUT_OF_MEMORY else None}
