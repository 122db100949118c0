"""`twin config`: where a value comes from is never guessed, a secret never shown."""

from __future__ import annotations

import orjson
import pytest
from pydantic import SecretStr

from twin_app.security.masking import MASK, masked
from twin_app.settings import Settings


def rows(result) -> dict[str, dict]:
    return {row["name"]: row for row in map(orjson.loads, result.stdout.splitlines())}


def test_every_setting_is_shown_with_its_origin(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_PARTITIONS", "7")
    monkeypatch.setenv("TWIN_APP_ID", "other")
    found = rows(twin("config", "--json", "--app-id", "mine"))
    assert len(found) == len(Settings.model_fields)
    assert (found["TWIN_PARTITIONS"]["value"], found["TWIN_PARTITIONS"]["from"]) == (7, "environment")
    assert (found["TWIN_APP_ID"]["value"], found["TWIN_APP_ID"]["from"]) == ("mine", "option --app-id")
    assert found["TWIN_BOOTSTRAP_SERVERS"]["from"] == "default"


def test_a_mistyped_variable_is_no_default(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_PARTITION", "7")
    result = twin("config")
    assert result.exit_code == 2
    assert "TWIN_PARTITIONS" in result.stderr


def test_a_password_in_an_address_is_not_shown(twin) -> None:
    result = twin("config", "--registry", "http://user:hush@registry:8081/x")
    assert "hush" not in result.stdout
    assert f"http://user:{MASK}@registry:8081/x" in result.stdout


@pytest.mark.parametrize("name", ["sasl_password", "api_token", "client_secret", "key_passphrase"])
def test_a_secret_is_masked_by_its_name_and_by_its_type(name: str) -> None:
    assert masked(name, "hush") == MASK
    assert masked("anything", SecretStr("hush")) == MASK
    assert masked(name, None) is None
    assert masked(name, "") == ""


def test_text_names_every_setting_too(twin) -> None:
    result = twin("config")
    assert result.exit_code == 0
    assert all(f"TWIN_{name.upper()}" in result.stdout for name in Settings.model_fields)
