"""What an operator can set, each as an environment variable with the prefix `TWIN_` (TWIN_BOOTSTRAP_SERVERS, ...).

Durations and sizes carry their unit in the name. A `TWIN_` variable that is not listed here is an error, since a mistyped
name would otherwise leave a default in force without a word.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from models.commands import duration_s
from models.errors import TwinError
from topics.specs import TopicSpecs, topic_specs
from twin_app.security.masking import without_password
from twin_app.security.settings import SecuritySettings, secret_in

PREFIX = "TWIN_"
WEB_TOKEN_CHARS_MIN = 8
NOT_SETTINGS = ("TWIN_PURE_KERNEL", "TWIN_REQUIRE_REAL", "TWIN_TEST_")
"""Names (or beginnings of names) that are no settings of a worker: the kernel's choice of its form, and the test suite's."""
FILE = "_FILE"
"""Behind the name of a secret's variable: the file that holds it."""


class Settings(SecuritySettings):
    """Settings of a worker. Build it with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # -- where things are
    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port of one or more brokers, comma-separated")
    registry_url: str = Field("http://127.0.0.1:8081", description="schema registry with the Confluent REST surface")
    data_dir: Path = Field(Path(".run/state"), description="folder of the local state; rebuilt from the changelog when lost")
    web_enabled: bool = Field(True, description="serve the live page, the HTTP API, health and readiness")
    web_host: str = Field("127.0.0.1", max_length=255, description="listens there; beyond this machine the API needs a token")
    web_port: int = Field(6066, ge=0, le=65535, description="0, or the default when taken: any free one; see the log")
    web_url: str | None = Field(
        None, max_length=500, description="how the other workers reach this one; by default from host name and port"
    )
    web_token: SecretStr | None = Field(None, description="who calls the API must know it; the same for all workers")

    # -- who we are
    app_id: str = Field(
        "twin", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="consumer group and prefix of the changelog topics"
    )
    member_id: str | None = Field(
        None, description="static group membership: a restart within the session time-out moves nothing"
    )

    # -- topics
    topic_prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="put before the topics' names; not before changelogs"
    )
    partitions: int = Field(
        4, ge=1, le=10_000, description="of the config and clock topics and the changelogs; never changed later"
    )
    replication_factor: int = Field(1, ge=1, le=15)

    routes: Path | None = Field(None, description="YAML file: which events go to which topics, in which encoding")

    # -- rhythm of a partition
    min_cycle_ms: int = Field(25, ge=1, le=60_000, description="at most one transaction per partition in this time")
    watermark_delay_ms: int = Field(0, ge=0, le=3_600_000)
    checkpoint_ticks: int = Field(200, ge=1)
    checkpoint_interval_s: float = Field(10.0, gt=0)

    # -- limits
    batch_records_max: int = Field(2_000, ge=1, le=5_000, description="commands taken into one cycle")
    batch_bytes_max: int = Field(8 << 20, ge=1 << 20)
    intake_records_max: int = Field(8_000, ge=1, description="commands waiting per partition before fetching pauses")
    intake_bytes_max: int = Field(32 << 20, ge=1 << 20)
    record_bytes_max: int = Field(15 << 20, ge=1 << 20, description="largest record written; changelog topics let 16 MiB through")
    store_cache_bytes: int = Field(16 << 20, ge=1 << 20, description="RocksDB block cache of one table partition")

    # -- broker
    session_timeout_s: float = Field(10.0, ge=1.0, description="a worker silent for so long loses its partitions")
    rebalance_timeout_s: float = Field(60.0, ge=1.0)
    request_timeout_s: float = Field(40.0, ge=1.0)
    transaction_timeout_s: float = Field(60.0, ge=1.0, description="the broker aborts a transaction open for so long")
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "none"
    standby_replicas: int = Field(0, ge=0, le=10)

    # -- forecasts
    forecast_workers: int = Field(2, ge=0, le=256, description="processes that run forks of the twins; 0: no forecasts")
    forecast_horizon: str = Field("8h", description="how far forecasts of changes and on schedule look, in simulated time")
    forecast_interval_s: float = Field(60.0, ge=0, description="a twin in which something happens is forecast so often; 0: never")
    forecast_every: str = Field("", description="also whenever so much simulated time has passed, such as 15min")
    forecast_debounce_ms: int = Field(100, ge=0, le=3_600_000, description="forecasts of a twin's changes begin so far apart")
    forecast_budget_s: float = Field(5.0, gt=0, le=3_600, description="a forecast is not sharpened for longer")
    forecast_task_limit_s: float = Field(10.0, gt=0, le=3_600, description="a fork that takes longer is killed")
    forecast_memory_mb: int = Field(1024, ge=128, le=1 << 20, description="data of one process that runs forks")

    question_interval_s: float = Field(
        30.0,
        ge=0,
        description="a twin with standing questions is asked so often, unless nothing happens in it; 0: by other forecasts only",
    )
    scorecard_interval_s: float = Field(60.0, ge=0, description="forecasts are held against what happened so often; 0: never")
    scorecard_window_h: float = Field(
        24.0, gt=0, le=8_760, description="after a start, forecasts of so many hours are judged again"
    )

    # -- the rest
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    traces: bool = Field(False, description="OpenTelemetry traces of commands with a traceparent; see also its OTEL_ variables")
    metrics_twins: int = Field(100, ge=0, le=10_000, description="twins of a worker that have Prometheus metrics of their own")
    failpoints: str = Field("", description="tests only: name:probability,... at which the process kills itself")

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{address.strip()!r} is not host:port")
        return value

    @field_validator("web_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:_]+", value) is None:
            raise ValueError(f"{value!r} is not http://host:port")
        return value

    @field_validator("web_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < WEB_TOKEN_CHARS_MIN:
            raise ValueError(f"a token has at least {WEB_TOKEN_CHARS_MIN} characters")
        return value

    @field_validator("forecast_every")
    @classmethod
    def _every(cls, value: str) -> str:
        return cls._horizon(value) if value else value

    @field_validator("forecast_horizon")
    @classmethod
    def _horizon(cls, value: str) -> str:
        if duration_s(value) <= 0:
            raise ValueError("it must be longer than nothing")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.session_timeout_s > self.request_timeout_s:
            raise ValueError("session_timeout_s must not be longer than request_timeout_s")
        if self.record_bytes_max > self.intake_bytes_max:
            raise ValueError("record_bytes_max must fit into intake_bytes_max")
        return self

    @property
    def topics(self) -> TopicSpecs:
        """All topics of this application."""
        return _topics(self.app_id, self.topic_prefix, self.partitions)

    @property
    def config_topic(self) -> str:
        """Where the commands come from."""
        return self.topics.config.name

    @property
    def clock_topic(self) -> str:
        """Where the ticks go."""
        return self.topics.clock.name

    @property
    def bootstrap(self) -> list[str]:
        return [address.strip() for address in self.bootstrap_servers.split(",")]

    @property
    def registry_shown(self) -> str:
        """The registry's address as it may be shown: without the password that it may carry."""
        return without_password(self.registry_url)

    @property
    def compression_type(self) -> str | None:
        return None if self.compression == "none" else self.compression


@lru_cache(maxsize=8)
def _topics(app: str, prefix: str, partitions: int) -> TopicSpecs:
    return topic_specs(app=app, prefix=prefix, partitions=partitions)


def load_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from the environment, then `overrides`. Raises TwinError `bad-setting` naming every variable at fault.

    No message holds a value: it might be a secret.
    """
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    faults = []
    values: dict[str, object] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(NOT_SETTINGS):
            continue
        if name in known:
            values[name[len(PREFIX) :].lower()] = environ[name]
        elif (secret := secret_of_file(name)) is not None:
            if PREFIX + secret.upper() in environ:
                faults.append(f"{name} and {PREFIX}{secret.upper()} exclude each other")
                continue
            try:
                values[secret] = secret_in(environ[name])
            except ValueError as error:
                faults.append(f"{name}: {error}")
        else:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            faults.append(f"{name} is not a setting" + (f", did you mean {near[0]}?" if near else ""))
    try:
        settings = Settings(**{**values, **overrides})  # type: ignore[arg-type]
    except ValidationError as error:
        for fault in error.errors():
            where = PREFIX + ".".join(str(part) for part in fault["loc"]).upper() if fault["loc"] else "settings"
            faults.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
    if faults:
        raise TwinError("bad-setting", "; ".join(faults), place="settings", remedy="correct or unset what is named")
    return settings


def secret_of_file(variable: str) -> str | None:
    """The secret setting whose file a variable names; None if it is no such variable."""
    name = variable.removeprefix(PREFIX).removesuffix(FILE).lower()
    if not variable.endswith(FILE) or name not in Settings.model_fields:
        return None
    return name if is_secret(name) else None


def is_secret(name: str) -> bool:
    """Whether a setting is a secret by its type."""
    annotation = Settings.model_fields[name].annotation
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())
