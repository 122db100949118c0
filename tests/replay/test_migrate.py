"""`twin migrate --dry-run` on a broker: what it says is what the twin's past gives, and nothing is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.replay.conftest import LINE

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_a_dry_run_says_what_fits_and_sends_nothing(past: Any, tmp_path: Path) -> None:
    document = yaml.safe_load((LINE / "blueprint.yaml").read_text())
    document["resources"]["a"]["capacity"] = 2
    document["variables"] = {**document.get("variables", {}), "shift": "early"}
    new = tmp_path / "new.yaml"
    new.write_text(yaml.safe_dump(document, sort_keys=False))
    before = past("replay", "--json").stdout

    told = past("migrate", new, "--dry-run", "--json", "--horizon", "30min", "--pairs", "3")
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["fits"] is True
    assert report["taken"]["resources.a.capacity"]["new"] == 2
    assert report["new"] == ["variables.shift"]
    assert report["entities_kept"] + report["entities_moved"] == report["in_progress"]
    assert {row["figure"] for row in report["figures"]} >= {"finished", "a.utilisation"}

    same = past("migrate", LINE / "blueprint.yaml", "--dry-run", "--json", "--horizon", "30min", "--pairs", "3")
    assert {row["difference"] for row in json.loads(same.stdout)["figures"]} == {0.0}

    document["time"] = {"unit": "hours"}
    new.write_text(yaml.safe_dump(document, sort_keys=False))
    refused = past("migrate", new, "--dry-run")
    assert refused.returncode == 1
    assert "time.unit" in refused.stdout
    assert past("replay", "--json").stdout == before


def test_a_wrong_question_is_refused(cli: Any) -> None:
    assert "bad-option" in cli("migrate", LINE / "blueprint.yaml", "--at", "1").stderr
    assert "bad-option" in cli("migrate", LINE / "blueprint.yaml", "--dry-run", "--move", "make.0").stderr
    assert cli("topics", "--create").returncode == 0
    assert "no-past" in cli("migrate", LINE / "blueprint.yaml", "--dry-run").stderr
