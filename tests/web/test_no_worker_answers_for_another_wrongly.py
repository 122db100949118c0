"""The API over two workers: whoever is asked, the twin's own worker answers; nothing is invented, nothing held up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.web.plant import LINE, Plant, slow


def frames(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Server-sent events: kind and data."""
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, orjson.loads(line.removeprefix("data: "))


def test_twins_of_all_workers_are_listed_by_any(plant: Plant) -> None:
    for worker in (0, 1):
        found = plant.get("/api/twins", worker=worker)
        names = [twin["twin"] for twin in found["twins"]]
        assert names == sorted(names)
        assert {LINE, plant.neighbour, "Shop"} <= set(names)
        assert all(one["reached"] for one in found["workers"])
        assert {one["worker"] for one in found["twins"]} == set(plant.urls)
    page = plant.get("/api/twins?limit=1")
    assert plant.get(f"/api/twins?limit=1&after={page['next_after']}")["twins"][0]["twin"] > page["twins"][0]["twin"]


@pytest.mark.parametrize("path", ["", "/diagram", "/parameters", "/work", "/past"])
def test_a_request_is_answered_by_the_owner_whoever_gets_it(plant: Plant, path: str) -> None:
    for name in (LINE, plant.neighbour):
        answers = [plant.get(f"/api/twins/{name}{path}", worker=worker) for worker in (0, 1)]
        assert {answer["twin"] for answer in answers} == {name}
    state = plant.get(f"/api/twins/{plant.neighbour}", worker=0)
    assert state["worker"] == plant.get(f"/api/twins/{plant.neighbour}", worker=1)["worker"]


def test_a_twin_that_nobody_hosts_is_unknown_to_all(plant: Plant) -> None:
    for worker in (0, 1):
        assert plant.get("/api/twins/Nobody", worker=worker, status=404)["code"] == "unknown-twin"


def test_a_command_never_goes_unanswered(plant: Plant) -> None:
    for worker in (0, 1):
        sent = plant.command("Shop", worker=worker, kind="set", path="variables.mode", value=f"by-{worker}")
        assert sent["place"]["offset"] >= 0
        assert sent["answer"]["accepted"] is True
        assert sent["answer"]["event"]["payload"]["new"] == f"by-{worker}"
        assert sent["answer"]["event"]["cause"]["offset"] == sent["place"]["offset"]
        refused = plant.command("Shop", worker=worker, kind="set", path="resources.till.capacity", value=99)
        assert refused["answer"]["accepted"] is False
        assert refused["answer"]["code"] == "out-of-bounds"
        assert refused["answer"]["path"] == "resources.till.capacity"
    parameter = plant.get("/api/twins/Shop/parameters?prefix=variables.mode")["parameters"][0]
    assert (parameter["value"], parameter["offset"]) == ("by-1", sent["place"]["offset"])


def test_a_command_that_is_no_command_is_never_written(plant: Plant) -> None:
    before = plant.get(f"/api/twins/{LINE}")["next_offset"]
    url = f"/api/twins/{LINE}/commands"
    for body, code in (
        ({"kind": "sett"}, "unknown-kind"),
        ({"path": "Other.resources.b.capacity", "value": 1}, "key-mismatch"),
        ({"kind": "set", "path": "x"}, "invalid-command"),
        ([], "not-an-object"),
    ):
        assert plant.post(url, body, status=422)["code"] == code
    assert plant.client.post(plant.urls[0] + url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert (
        plant.client.post(plant.urls[0] + url, content=b"x" * (1 << 21), headers={"Content-Type": "application/json"}).status_code
        == 413
    )
    assert plant.get(f"/api/twins/{LINE}")["next_offset"] == before


def test_state_events_and_forecasts_come_in_one_stream(plant: Plant) -> None:
    url = f"{plant.urls[0]}/api/twins/{plant.neighbour}/stream"
    seen: dict[str, list[Any]] = {"state": [], "event": [], "forecast": []}
    with httpx.stream("GET", url, timeout=30.0) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for kind, data in frames(answer):
            seen[kind].append(data)
            if len(seen["event"]) >= 10 and len(seen["state"]) >= 3:
                break
    seqs = [event["seq"] for event in seen["event"]]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert seen["state"][-1]["seq"] >= seqs[0]
    assert seen["state"][0]["resources"].keys() == {"a", "b", "c"}


def test_a_question_is_answered_as_it_sharpens_and_compared(plant: Plant) -> None:
    url = f"{plant.urls[0]}/api/twins/Shop/forecast"
    slow(lambda: plant.client.get(url).status_code == 200, "a first forecast")
    ask = {"horizon": "3h", "scenarios": {"second oven": [{"kind": "set", "path": "resources.oven.capacity", "value": 2}]}}
    with httpx.stream("POST", url, json=ask, headers={"Accept": "text/event-stream"}, timeout=60.0) as answer:
        revisions = [data for kind, data in frames(answer) if kind == "revision"]
    assert revisions[-1]["final"]
    assert [r["revision"] for r in revisions] == sorted({r["revision"] for r in revisions})
    assert revisions[-1]["scenarios"][0]["name"] == "second oven"
    assert plant.post("/api/twins/Shop/forecast", {"horizon": "30m"}, status=200)["baseline"]["bands"]
    bad = {"horizon": "1h", "scenarios": {"x": [{"kind": "set", "path": "resources.none.capacity", "value": 1}]}}
    assert plant.post("/api/twins/Shop/forecast", bad, status=404)["code"] == "unknown-path"


def test_reading_never_holds_a_twin_up(plant: Plant) -> None:
    stop = threading.Event()

    def read() -> None:
        with httpx.Client(timeout=30.0) as client:
            while not stop.is_set():
                client.get(f"{plant.urls[1]}/api/twins/{LINE}/work")
                client.get(f"{plant.urls[0]}/api/twins/{LINE}")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        first = plant.get(f"/api/twins/{LINE}")
        slow(lambda: plant.get(f"/api/twins/{LINE}")["seq"] > first["seq"] + 10, "the line goes on")
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_the_past_is_what_was_measured(plant: Plant) -> None:
    slow(lambda: len(plant.get("/api/twins/Shop/past?frames=50")["frames"]) > 3, "measurements")
    past = plant.get("/api/twins/Shop/past?frames=3")
    assert len(past["frames"]) == 3
    assert past["thinned"]
    assert {"resources.oven.queue", "containers.tank.level", "stores.shelf.level", "entities.wip"} <= past["frames"][0][
        "values"
    ].keys()
    assert (
        plant.get("/api/twins/Shop/past?from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", status=422)["code"] == "bad-stretch"
    )
    old = plant.get("/api/twins/Shop/past?from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z")
    assert old["frames"] == []


def test_work_is_paged_without_gap_or_repetition(plant: Plant) -> None:
    plant.command("Shop", kind="set", path="resources.till.capacity", value=0)
    slow(lambda: plant.get("/api/twins/Shop/work")["total"] >= 3, "some work")
    page = plant.get("/api/twins/Shop/work?limit=2")
    assert len(page["work"]) == 2
    following = plant.get(f"/api/twins/Shop/work?limit=2&after={page['next_after']}")
    assert following["work"][0]["entity"] > page["work"][-1]["entity"]
    plant.command("Shop", kind="set", path="resources.till.capacity", value=2)
