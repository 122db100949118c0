"""Compose file, Dockerfile and chart are valid, and name only what exists. See also `make check-deploy`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import compose_spec
import jsonschema
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from twin_app.settings import PREFIX, Settings, load_settings, secret_of_file

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "twin"
COMPOSE = ROOT / "docker-compose.yml"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
PLAIN_YAML = sorted(path for path in [COMPOSE, *DEPLOY.rglob("*.yml"), *DEPLOY.rglob("*.yaml")] if "templates" not in path.parts)
STYLE = YamlLintConfig(
    "extends: default\nrules: {line-length: {max: 180}, document-start: disable, braces: {max-spaces-inside: 1}, "
    "comments: {min-spaces-from-content: 1}, truthy: {check-keys: false}}"
)


def is_setting(variable: str) -> bool:
    return variable.removeprefix(PREFIX).lower() in Settings.model_fields or secret_of_file(variable) is not None


@pytest.mark.parametrize("path", PLAIN_YAML, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml_is_clean(path: Path) -> None:
    found = [f"{fault.line}: {fault.desc}" for fault in linter.run(io.StringIO(path.read_text()), STYLE)]
    assert not found


# -- docker compose


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def test_compose_is_what_the_specification_allows() -> None:
    parsed = compose_spec.PyCompose.from_yaml(COMPOSE.read_text())
    parsed.validate()
    assert {"kafka", "schema-registry", "worker", "kafka-ui", "prometheus", "grafana"} == set(parsed.service_names())
    with pytest.raises(ValueError, match="imag"):
        compose_spec.PyCompose.from_yaml("services: {a: {imag: x}}")


def test_the_workers_of_the_compose_file_start_with_these_settings() -> None:
    worker = compose()["services"]["worker"]
    environ = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for name, value in worker["environment"].items()}
    settings = load_settings(environ)
    assert settings.web_token is not None, "it listens beyond its container"
    assert worker["ports"][0]["target"] == settings.web_port
    assert "container_name" not in worker, "else --scale is refused"


def test_compose_mounts_only_what_is_there_and_listens_on_this_machine_alone() -> None:
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), (name, volume)
        for port in service.get("ports", ()):
            host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
            assert host == "127.0.0.1", (name, port)
        for other in service.get("depends_on", ()):
            assert other in compose()["services"]


def test_prometheus_and_grafana_are_provisioned_with_our_files() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert [(DEPLOY / "prometheus" / file).exists() for file in prometheus["rule_files"]] == [True]
    scrape = prometheus["scrape_configs"][0]
    assert scrape["job_name"] == "twin", "the alerts ask for this job"
    assert scrape["dns_sd_configs"][0]["names"] == ["worker"]
    assert scrape["dns_sd_configs"][0]["port"] == Settings.model_fields["web_port"].default
    provider = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "dashboards" / "twin.yml").read_text())
    mounts = dict(volume.split(":")[:2] for volume in compose()["services"]["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["providers"][0]["options"]["path"]


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    text = (ROOT / "Dockerfile").read_text()
    final = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "/health" in final
    assert final.index("USER") < final.index("ENTRYPOINT")


# -- the chart


@pytest.mark.parametrize("path", [CHART / "values.yaml", *sorted((CHART / "ci").glob("*.yaml"))], ids=lambda path: path.name)
def test_values_are_what_the_schema_allows(path: Path) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    values = yaml.safe_load((CHART / "values.yaml").read_text()) | yaml.safe_load(path.read_text())
    jsonschema.validate(values, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": "many"},
        {"kafak": {}},
        {"kafka": {"bootstrapServers": "nowhere", "securityProtocol": "SSL"}},
        {"settings": {"PATH": "/bin"}},
        {"settings": {"TWIN_PARTITIONS": 3}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text()) | wrong, SCHEMA)


def test_the_templates_use_only_values_that_there_are() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    used = set()
    for template in (CHART / "templates").iterdir():
        used |= set(re.findall(r"\.Values((?:\.\w+)+)", template.read_text()))
    for path in sorted(used):
        found: Any = values
        for name in path.strip(".").split("."):
            assert isinstance(found, dict), path
            assert name in found, path
            found = found[name]
    top = {path.strip(".").split(".")[0] for path in used}
    assert set(values) == top, "a value that no template uses"


def test_the_chart_sets_only_settings_that_there_are() -> None:
    text = (CHART / "templates" / "statefulset.yaml").read_text()
    names = set(re.findall(r"name: (TWIN_[A-Z_]+)", text)) | set(yaml.safe_load((CHART / "values.yaml").read_text())["settings"])
    assert len(names) > 15
    assert {name for name in names if not is_setting(name)} == set()
