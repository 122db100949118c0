"""With TWIN_LOG_JSON every line is one JSON object, whatever is logged; without, a pipe gets no colours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import logging, structlog
from twin_app.settings import load_settings
from twin_app.streaming import logs
settings = load_settings({"TWIN_LOG_JSON": "%s", "TWIN_SECURITY_PROTOCOL": "SASL_SSL", "TWIN_SASL_MECHANISM": "PLAIN",
                          "TWIN_SASL_USERNAME": "u", "TWIN_SASL_PASSWORD": "hush"})
logs.configure(settings)
log = structlog.get_logger("x")
log.info("one", path="a\\nb", number=1.5, other={"k": object()}, settings=settings)
log.debug("not at this level")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two")
logging.getLogger("aiokafka.conn").error("Unable connect to node with id 0")
logging.getLogger("faust").warning("three\\nlines")
"""


def lines(log_json: bool) -> list[str]:
    command = [sys.executable, "-c", SCRIPT % str(log_json).lower()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_every_line_is_an_object_with_level_time_and_event() -> None:
    records = [json.loads(line) for line in lines(True)]
    assert [record["event"] for record in records] == ["one", "two", "broker-trouble", "library"]
    for record in records:
        assert {"event", "level", "timestamp"} <= record.keys()
    assert "ZeroDivisionError" in records[1]["exception"]
    assert records[3]["said"] == "three\nlines"
    assert "hush" not in json.dumps(records)


def test_a_pipe_gets_no_colours_and_no_secret() -> None:
    text = "\n".join(lines(False))
    assert "\x1b[" not in text
    assert "hush" not in text
    assert "ZeroDivisionError" in text


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_a_choice_that_is_none_is_refused(value: str) -> None:
    from models.errors import TwinError
    from twin_app.settings import load_settings

    with pytest.raises(TwinError, match="TWIN_LOG_JSON"):
        load_settings({"TWIN_LOG_JSON": value})
