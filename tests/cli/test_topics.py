"""`twin topics` without a broker: what it lists is what the rooms use."""

from __future__ import annotations

import orjson

from twin_app.settings import load_settings


def test_the_list_is_that_of_the_topic_specs(twin) -> None:
    result = twin("topics", "--json", "--partitions", 3)
    assert result.exit_code == 0, result.stderr
    found = [orjson.loads(line) for line in result.stdout.splitlines()]
    specs = load_settings({}, partitions=3).topics.all()
    assert [(row["role"], row["name"], row["partitions"]) for row in found] == [(spec.role, spec.name, 3) for spec in specs]


def test_listing_asks_no_broker(twin) -> None:
    assert twin("topics", "--bootstrap", "127.0.0.1:1").exit_code == 0
