import pytest

from models.errors import TwinError
from topics.admin import check_partition_counts
from topics.specs import LARGE_RECORD_BYTES_MAX, topic_specs


def test_history_is_never_deleted_by_age():
    specs = topic_specs()
    for spec in (specs.config, specs.clock):
        assert spec.configs()["retention.ms"] == "-1"
        assert spec.cleanup == "delete"


def test_changelogs_are_never_too_small_for_a_checkpoint():
    specs = topic_specs(app="plant")
    assert specs.checkpoint_changelog.name == "plant-checkpoint-changelog"
    for spec in (specs.registry_changelog, specs.checkpoint_changelog):
        assert spec.configs()["cleanup.policy"] == "compact"
        assert "retention.ms" not in spec.configs()
        assert int(spec.configs()["max.message.bytes"]) == LARGE_RECORD_BYTES_MAX


def test_names_are_not_mixed_up_by_prefix_and_choice():
    specs = topic_specs(prefix="eu.", names={"events": "plant-events"}, partitions=3)
    assert [spec.name for spec in specs.all()] == [
        "eu.twin-config",
        "eu.twin-clock",
        "plant-events",
        "eu.sim-vitals",
        "eu.sim-forecasts",
        "eu.sim-alerts",
        "eu.twin-dead-letters",
        "eu.sim-divergence",
        "twin-registry-changelog",
        "twin-checkpoint-changelog",
    ]
    assert {spec.partitions for spec in specs.all()} == {3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"partitions": 0},
        {"names": {"event": "x"}},
        {"names": {"events": "twin-clock"}},
        {"names": {"events": ""}},
        {"names": {"events": ".."}},
        {"prefix": "a b "},
        {"prefix": "ä"},
        {"app": "a/b"},
        {"prefix": "x" * 250},
    ],
    ids=str,
)
def test_a_topic_that_cannot_be_is_refused_before_the_broker_is_asked(wrong):
    with pytest.raises(TwinError) as caught:
        topic_specs(**wrong)
    assert caught.value.code == "bad-topic"
    assert caught.value.remedy


def test_a_topic_of_another_partition_count_is_not_written_to():
    specs = topic_specs(partitions=4)
    check_partition_counts(specs, {"twin-config": 4, "sim-events": 4, "stranger": 9}, 4)
    with pytest.raises(TwinError, match="twin-clock") as caught:
        check_partition_counts(specs, {"twin-config": 4, "twin-clock": 2}, 4)
    assert caught.value.code == "partition-count"
    assert "4 partitions" in caught.value.remedy
