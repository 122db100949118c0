"""What live workers tell Prometheus is what the catalogue says, and counts what happened; the verbs that read it agree."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.web.plant import LINE, PARTITIONS, ROOT, Plant, slow
from twin_app.metrics.catalogue import LIBRARY, METRICS

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(plant: Plant) -> tuple[dict[str, str], Samples]:
    """Kinds by family, and samples of all workers together."""
    kinds: dict[str, str] = {}
    samples: Samples = {}
    for url in plant.urls:
        answer = plant.client.get(f"{url}/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        for family in text_string_to_metric_families(answer.text):
            kinds[family.name] = family.type
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                samples[key] = samples.get(key, 0.0) + sample.value
    return kinds, samples


def total(samples: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (found, pairs), value in samples.items() if found == name and wanted <= set(pairs))


def test_every_family_is_in_the_catalogue_with_its_kind_and_labels(plant: Plant) -> None:
    kinds, samples = scraped(plant)
    known = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    library = {name.removesuffix("_total") for name in LIBRARY}
    assert set(kinds) - library == set(known)
    for name, metric in known.items():
        assert kinds[name] == metric.kind, name
    by_series = {series: set(metric.labels) for metric in METRICS for series in metric.series}
    for name, pairs in samples:
        if name in by_series:
            assert {label for label, _ in pairs} - {"le"} == by_series[name], name


def test_what_happens_is_counted_once(plant: Plant) -> None:
    _, before = scraped(plant)
    accepted = plant.command(LINE, kind="set", path=f"{LINE}.resources.b.capacity", value=2)
    refused = plant.command(LINE, kind="set", path=f"{LINE}.resources.b.capacity", value=-1)
    assert accepted["answer"]["accepted"]
    assert not refused["answer"]["accepted"]

    def counted() -> Samples | None:
        _, now = scraped(plant)
        return now if total(now, "twin_dead_letters_total") > total(before, "twin_dead_letters_total") else None

    after = slow(counted, "the dead letter is counted")

    def grown(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    assert grown("twin_dead_letters_total") == 1
    assert grown("twin_commands_accepted_total", kind="set") == 1
    assert grown("twin_commands_total") == 2
    assert grown("twin_output_records_total", topic=f"{plant.name}-twin-dead-letters") == 1
    assert grown("twin_events_total") > 0
    assert grown("twin_commit_duration_seconds_count") == grown("twin_cycles_total") > 0


def test_the_state_of_the_plant_is_seen(plant: Plant) -> None:
    _, samples = scraped(plant)
    assert total(samples, "twin_worker_ready") == len(plant.urls)
    assert total(samples, "twin_partition_state") == PARTITIONS
    assert total(samples, "twin_recoveries_total") >= PARTITIONS
    assert total(samples, "twin_running", twin=LINE) == 1
    assert total(samples, "twin_resource_capacity_units", twin=LINE, resource="a") >= 1
    assert total(samples, "twin_event_loop_delay_seconds_count") > 0
    assert total(samples, "twin_store_in_step") == PARTITIONS


def test_a_forecast_is_counted_with_how_it_ended(plant: Plant) -> None:
    plant.command(LINE, kind="forecast", horizon="1h")

    def complete() -> bool:
        _, samples = scraped(plant)
        return total(samples, "twin_forecasts_total", outcome="complete", reason="command") >= 1

    slow(complete, "a forecast is complete")
    _, samples = scraped(plant)
    assert total(samples, "twin_forecasts_total", outcome="answered") >= 1
    assert total(samples, "twin_forecast_revisions_total") >= 1
    assert total(samples, "twin_forecast_first_answer_seconds_count") >= 1


def test_the_format_that_the_scraper_asks_for_is_given(plant: Plant) -> None:
    answer = httpx.get(f"{plant.urls[0]}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# -- the verbs that read what workers and brokers say


def verb(plant: Plant, *arguments: str) -> tuple[int, list[dict], str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | {
        "TWIN_BOOTSTRAP_SERVERS": plant.broker.bootstrap,
        "TWIN_REGISTRY_URL": plant.broker.url,
        "TWIN_APP_ID": plant.name,
        "TWIN_TOPIC_PREFIX": f"{plant.name}-",
        "TWIN_PARTITIONS": str(PARTITIONS),
        "TWIN_DATA_DIR": str(plant.folder / "state-0"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "twin_app.cli", *arguments, "--json"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        timeout=100,
        check=False,
    )
    return done.returncode, [orjson.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_status_names_the_owner_and_state_of_every_partition(plant: Plant) -> None:
    code, rows, said = verb(plant, "status")
    assert [row["partition"] for row in rows] == list(range(PARTITIONS)), said
    assert {row["partition"]: row["owner"] for row in rows} == plant.owned()
    assert {row["state"] for row in rows} <= {"live", "catching-up", "committing"}
    assert sum(row["twins"] for row in rows) >= 3
    assert all(row["lag_s"] is not None for row in rows)
    assert code == 0


def test_doctor_finds_a_sound_application_sound(plant: Plant) -> None:
    code, findings, said = verb(plant, "doctor")
    assert code == 0, (findings, said)
    assert {finding["check"] for finding in findings} == {
        "settings",
        "versions",
        "kernel",
        "state",
        "brokers",
        "topics",
        "group",
        "registry",
        "clock",
    }
    assert not [finding for finding in findings if finding["status"] in ("failed", "skipped")]


def test_reset_never_takes_state_away_from_a_running_worker(plant: Plant) -> None:
    code, _, said = verb(plant, "reset", "--local", "--yes")
    assert code == 2
    assert "state-in-use" in said
    code, _, said = verb(plant, "reset", "--group-offsets", "--yes")
    assert code == 2
    assert "group-in-use" in said
    _, samples = scraped(plant)
    assert total(samples, "twin_store_in_step") == PARTITIONS
