"""The checks of `twin doctor`, in the order in which a fault in one explains those in the next."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any, Literal, NamedTuple

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from models.errors import TwinError
from topics.specs import TopicSpec
from twin_app.cli import connect
from twin_app.cli.group import read_group
from twin_app.kernel import FORM
from twin_app.kernel.compiled import COMPILED
from twin_app.security.kafka import broker_tls, client_security
from twin_app.security.registry import registry_of
from twin_app.settings import Settings

FREE_BYTES_MIN = 1 << 30
CLOCK_S_MAX = 2.0
"""A commands' time is its record's timestamp: clocks that differ by more are seen in the twins."""
CERTIFICATE_DAYS_MIN = 14

Status = Literal["ok", "warning", "failed", "skipped"]


class Finding(NamedTuple):
    """What one check found. `remedy` says what to do about it."""

    check: str
    status: Status
    said: str
    remedy: str | None = None


async def examine(settings: Settings, timeout_s: float) -> AsyncIterator[Finding]:
    """Every check, one after the other. What cannot be checked, since something before it failed, is skipped and says so."""
    sound = True
    for finding in (*_settings(settings), *_versions(), *_kernel(), *_state_folder(settings)):
        sound = sound and not (finding.check == "settings" and finding.status == "failed")
        yield finding
    if not sound:
        for check in ("brokers", "topics", "group", "registry"):
            yield Finding(check, "skipped", "the settings come first")
        return
    reached = True
    async for finding in _brokers(settings, timeout_s):
        reached = reached and finding.status != "failed"
        yield finding
    if reached:
        async for finding in _topics(settings, timeout_s):
            yield finding
        yield await _group(settings, timeout_s)
    else:
        for check in ("topics", "group"):
            yield Finding(check, "skipped", "no broker was reached")
    async for finding in _registry(settings, timeout_s):
        yield finding


# -- here


def _settings(settings: Settings) -> Iterator[Finding]:
    try:
        client_security(settings)
        registry_of(settings)
    except TwinError as error:
        yield Finding("settings", "failed", f"{error.place or ''} {error.message}".strip(), error.remedy)
        return
    yield Finding(
        "settings", "ok", f"application {settings.app_id}, {settings.security_protocol} to {settings.bootstrap_servers}"
    )
    if settings.security_protocol == "SASL_PLAINTEXT" and settings.sasl_mechanism in ("PLAIN", "OAUTHBEARER"):
        remedy = "use SASL_SSL"
        yield Finding("settings", "warning", f"{settings.sasl_mechanism} without TLS sends the secret in the clear", remedy)
    if not settings.ssl_check_hostname:
        yield Finding("settings", "warning", "the brokers' host names are not checked", "set TWIN_SSL_CHECK_HOSTNAME to true")
    if settings.failpoints:
        yield Finding("settings", "failed", "failpoints are on: workers kill themselves", "unset TWIN_FAILPOINTS")


def _versions() -> Iterator[Finding]:
    """Private parts of some packages are used: these must be there in exactly the version that is tested."""
    try:
        ours, needed = metadata.version("twin-app"), metadata.requires("twin-app") or []
    except metadata.PackageNotFoundError:
        yield Finding("versions", "warning", "the package is not installed: its versions cannot be compared", "pip install .")
        return
    wrong = []
    for requirement in needed:
        pinned = re.match(r"^([A-Za-z0-9._-]+)==([^\s;]+)\s*$", requirement)
        if pinned and (found := metadata.version(pinned[1])) != pinned[2]:
            wrong.append(f"{pinned[1]} {found} instead of {pinned[2]}")
    if wrong:
        yield Finding("versions", "failed", "; ".join(wrong), "install what requirements.lock says")
    else:
        yield Finding("versions", "ok", f"twin-app {ours} with the versions that it is tested with")


def _kernel() -> Iterator[Finding]:
    """It works in both forms, in one of them slowly."""
    if FORM == COMPILED:
        yield Finding("kernel", "ok", FORM)
    else:
        yield Finding(
            "kernel", "warning", f"{FORM}: two to three times slower", "build with a C compiler, see docs/operations.md"
        )


def _state_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding("state", "failed", f"{there} cannot be written", "correct its rights, or set TWIN_DATA_DIR")
        return
    free = shutil.disk_usage(there).free
    said = f"{folder}: {free / (1 << 30):.1f} GiB free"
    if free < FREE_BYTES_MIN:
        yield Finding("state", "warning", said, "make room: without it workers go on, but start slowly")
    else:
        yield Finding("state", "ok", said)


# -- brokers


async def _brokers(settings: Settings, timeout_s: float) -> AsyncIterator[Finding]:
    context = broker_tls(settings)
    for address in settings.bootstrap:
        yield await _address(address, context, timeout_s)
    try:
        async with connect.admin(settings, timeout_s) as client:
            cluster = await connect.within(settings, timeout_s, client.describe_cluster())
    except TwinError as error:
        yield Finding("brokers", "failed", error.message, error.remedy)
        return
    except KafkaError as error:
        yield Finding("brokers", "failed", f"they refuse us: {error}", "correct the credentials, or the user's rights")
        return
    count = len(cluster["brokers"])
    if count < settings.replication_factor:
        remedy = "start more brokers, or set TWIN_REPLICATION_FACTOR"
        said = f"{count} brokers cannot hold {settings.replication_factor} copies of a topic that is created"
        yield Finding("brokers", "warning", said, remedy)
    else:
        yield Finding("brokers", "ok", f"{count} in the cluster {cluster.get('cluster_id') or ''}".strip())


async def _address(address: str, context: ssl.SSLContext | None, timeout_s: float) -> Finding:
    host, _, port = address.rpartition(":")
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except ssl.SSLError as error:
        remedy = "correct TWIN_SSL_CA_FILE, the broker's certificate, or TWIN_SECURITY_PROTOCOL"
        return Finding("brokers", "failed", f"{address}: no TLS connection ({error.reason or error})", remedy)
    except (OSError, TimeoutError) as error:
        remedy = "start the broker, open the way to it, or correct TWIN_BOOTSTRAP_SERVERS"
        return Finding("brokers", "failed", f"{address}: not reached ({str(error) or 'no answer in time'})", remedy)
    took_ms = (time.monotonic() - started) * 1000
    certificate: Any = writer.get_extra_info("peercert") or {}
    writer.close()
    if "notAfter" in certificate:
        days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86_400
        if days < CERTIFICATE_DAYS_MIN:
            return Finding("brokers", "warning", f"{address}: its certificate ends in {days:.0f} days", "renew it")
    return Finding("brokers", "ok", f"{address}: connected in {took_ms:.0f} ms" + (", TLS" if context else ""))


async def _topics(settings: Settings, timeout_s: float) -> AsyncIterator[Finding]:
    specs = {spec.name: spec for spec in settings.topics.all()}
    try:
        async with connect.admin(settings, timeout_s) as client:
            there = sorted(specs.keys() & set(await connect.within(settings, timeout_s, client.list_topics())))
            missing = sorted(specs.keys() - set(there))
            if missing:
                yield Finding(
                    "topics", "warning", f"not there: {', '.join(missing)}", "a worker makes them; or `twin topics --create`"
                )
            if not there:
                return
            described = await connect.within(settings, timeout_s, client.describe_topics(there))
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
            answers = await connect.within(settings, timeout_s, client.describe_configs(asked))
    except (TwinError, KafkaError) as error:
        yield Finding("topics", "failed", str(error), "give this user the right to describe topics and their configuration")
        return
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    faults = [*_wrong_counts(settings, specs, counts), *_wrong_policies(specs, answers)]
    for said, remedy in faults:
        yield Finding("topics", "failed", said, remedy)
    if not faults:
        yield Finding(
            "topics", "ok", f"{len(there)} with {counts.get(settings.config_topic, 0)} partitions and the right policies"
        )


def _wrong_counts(settings: Settings, specs: dict[str, TopicSpec], counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    partitions = counts.get(settings.config_topic)
    for name, count in counts.items():
        if partitions is not None and specs[name].co_partitioned and count != partitions:
            yield (
                f"{name} has {count} partitions, {settings.config_topic} has {partitions}",
                "delete it, and let it be created again; or use another name",
            )


def _wrong_policies(specs: dict[str, TopicSpec], answers: list[Any]) -> Iterator[tuple[str, str]]:
    for answer in answers:
        for resource in answer.to_object()["resources"]:
            name = resource["resource_name"]
            found = {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}
            policy = specs[name].cleanup
            if found.get("cleanup.policy") not in (None, policy):
                yield f"{name} is kept by {found['cleanup.policy']!r}", f"set its cleanup.policy to {policy}: else state is lost"
            wanted = specs[name].record_bytes_max
            if wanted is not None and int(found.get("max.message.bytes") or wanted) < wanted:
                yield f"{name} takes records up to {found['max.message.bytes']} bytes", f"set its max.message.bytes to {wanted}"


async def _group(settings: Settings, timeout_s: float) -> Finding:
    try:
        group = await read_group(settings, timeout_s)
    except TwinError as error:
        if error.code == "unknown-topic":
            return Finding("group", "skipped", "there is no config topic yet")
        return Finding("group", "failed", error.message, error.remedy)
    except KafkaError as error:
        return Finding("group", "failed", str(error), "give this user the right to describe the group")
    said = f"{settings.app_id}: {len(group.members)} workers, {group.state.lower()}"
    if not group.members:
        return Finding("group", "warning", said, "start a worker: `twin worker`")
    without = [p for p in group.ends if group.owner(p) is None]
    if without and group.state == "Stable":
        return Finding("group", "failed", f"{said}; partitions {without} have no owner", "restart the workers; see their logs")
    return Finding("group", "ok", said)


# -- registry


async def _registry(settings: Settings, timeout_s: float) -> AsyncIterator[Finding]:
    registry = registry_of(settings, patience_s=timeout_s)
    try:
        subjects, headers = await registry.subjects()
    except TwinError as error:
        yield Finding("registry", "failed", f"{registry.address}: {error.message}", error.remedy)
        return
    ours = [name for name in subjects if name.startswith((settings.topics.events.name, settings.topics.forecasts.name))]
    yield Finding("registry", "ok", f"{registry.address}: {len(subjects)} subjects, {len(ours)} of this application")
    finding = _clock(headers)
    if finding is not None:
        yield finding


def _clock(headers: Mapping[str, str]) -> Finding | None:
    """The registry's clock against ours, to the second: its answers carry a date."""
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return Finding("clock", "skipped", "the registry's answer carries no date")
    apart = time.time() - theirs
    if abs(apart) > CLOCK_S_MAX:
        return Finding(
            "clock", "warning", f"{apart:+.0f} s against the registry's machine", "keep all clocks right by NTP or chrony"
        )
    return Finding("clock", "ok", f"within {CLOCK_S_MAX:.0f} s of the registry's machine")
