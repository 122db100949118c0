"""A mistyped or impossible setting must not pass in silence."""

from __future__ import annotations

import pytest

from models.errors import TwinError
from twin_app.settings import load_settings
from twin_app.streaming.failpoints import Failpoints


def test_a_mistyped_variable_is_named_with_the_nearest():
    with pytest.raises(TwinError, match="TWIN_BOOTSTRAP_SERVER is not a setting, did you mean TWIN_BOOTSTRAP_SERVERS"):
        load_settings({"TWIN_BOOTSTRAP_SERVER": "a:1"})


def test_all_faults_are_told_at_once():
    with pytest.raises(TwinError) as caught:
        load_settings({"TWIN_PARTITIONS": "many", "TWIN_BOOTSTRAP_SERVERS": "nowhere", "TWIN_COLOUR": "red"})
    assert caught.value.code == "bad-setting"
    for name in ("TWIN_PARTITIONS", "TWIN_BOOTSTRAP_SERVERS", "TWIN_COLOUR"):
        assert name in caught.value.message


def test_a_session_longer_than_a_request_is_refused():
    with pytest.raises(TwinError, match="session_timeout_s"):
        load_settings({"TWIN_SESSION_TIMEOUT_S": "50"})


def test_variables_of_others_are_none_of_our_business():
    settings = load_settings({"TWIN_TEST_BROKERS": "all", "PATH": "/bin", "TWIN_PARTITIONS": "7"})
    assert settings.partitions == 7
    assert settings.config_topic == "twin-config"


@pytest.mark.parametrize("text", ["nowhere:0.5", "begin:2", "begin", "begin:x"])
def test_a_failpoint_that_cannot_be_hit_is_refused(text):
    with pytest.raises(TwinError, match="is not name:probability"):
        Failpoints(text)


def test_without_failpoints_nothing_dies():
    failpoints = Failpoints("")
    assert not failpoints
    failpoints.hit("begin")
