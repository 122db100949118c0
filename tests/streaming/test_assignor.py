"""A static member that starts again is handed the assignment of before; its worker may serve HTTP somewhere else by now."""

from __future__ import annotations

from typing import Any

import faust
import pytest

from twin_app.streaming.assignor import NO_WEB, TwinAssignor

OLD, NEW, NOWHERE = "http://127.0.0.1:6066", "http://127.0.0.1:40000", f"http://abc{NO_WEB}"


def app_at(url: str) -> Any:
    return faust.App("moving", broker="kafka://127.0.0.1:1", canonical_url=url, PartitionAssignor=TwinAssignor)


@pytest.fixture
def handed_out() -> Any:
    """The group's answer to a single member at the old address."""
    assignor = app_at(OLD).assignor
    members = {"member": assignor.metadata(set())}
    return assignor.assign(_NoCluster(), members)["member"]


class _NoCluster:
    def topics(self) -> set[str]:
        return set()

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set()


@pytest.mark.parametrize(("url", "moved"), [(OLD, False), (NEW, True), (NOWHERE, False)])
def test_an_assignment_made_for_another_address_is_no_end_of_membership(handed_out: Any, url: str, moved: bool) -> None:
    assignor = app_at(url).assignor
    assignor.on_assignment(handed_out)
    assert assignor.moved is moved
    assert assignor.metadata(set()).user_data != b""
    assert str(assignor._url) == url
