"""ApiVersions, Metadata, topics and their settings."""

from typing import Any

from twin_app.embedded.broker.state import CLUSTER_ID, HOST, NODE_ID, Call, State
from twin_app.embedded.broker.topics import DEFAULTS, PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, bad_config
from twin_app.embedded.broker.wire import OFFERED, Code

TOPIC_RESOURCE = 2
DYNAMIC_TOPIC_CONFIG, DEFAULT_CONFIG = 1, 5


def api_versions(state: State, request: Any, call: Call) -> dict[str, Any]:
    return {"error_code": Code.NONE, "api_versions": [(key, low, high) for key, (low, high) in OFFERED.items()]}


def metadata(state: State, request: Any, call: Call) -> dict[str, Any]:
    names = request.topics
    if names is None or (call.version == 0 and not names):
        names = list(state.topics.by_name)
    found = []
    for name in dict.fromkeys(names):
        code = Code.NONE
        if name not in state.topics.by_name:
            code = Code.UNKNOWN_TOPIC_OR_PARTITION
            wanted = state.auto_create and getattr(request, "allow_auto_topic_creation", True)
            refused, _ = state.topics.refusal(name, 1, 1, {})
            if refused is Code.INVALID_TOPIC:
                code = refused
            elif wanted and refused is Code.NONE:
                state.create_topic(name, 1, {})
                code = Code.NONE
        topic = state.topics.by_name.get(name)
        rows = [
            {"error_code": Code.NONE, "partition": index, "leader": NODE_ID, "replicas": [NODE_ID], "isr": [NODE_ID]}
            for index in range(len(topic.partitions) if topic else 0)
        ]
        found.append({"error_code": code, "topic": name, "partitions": rows})
    return {
        "brokers": [{"node_id": NODE_ID, "host": HOST, "port": state.port}],
        "cluster_id": CLUSTER_ID,
        "controller_id": NODE_ID,
        "topics": found,
    }


def create_topics(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for name, partitions, replicas, assigned, config in request.create_topic_requests:
        wanted = len(assigned) if assigned else partitions
        settings = dict(config or ())
        code, why = (
            (call.refuse, None) if call.refuse else state.topics.refusal(name, wanted, 1 if assigned else replicas, settings)
        )
        if code == Code.NONE and not getattr(request, "validate_only", False):
            state.create_topic(name, wanted, settings)
        answers.append({"topic": name, "error_code": code, "error_message": why})
    return {"topic_errors": answers}


def delete_topics(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for name in request.topics:
        code = Code.NONE if name in state.topics.by_name else Code.UNKNOWN_TOPIC_OR_PARTITION
        if code is Code.NONE:
            state.delete_topic(name)
        answers.append((name, code))
    return {"topic_error_codes": answers}


def create_partitions(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for name, (count, _assignment) in request.topic_partitions:
        topic = state.topics.by_name.get(name or "")
        code, why = Code.NONE, None
        if topic is None:
            code = Code.UNKNOWN_TOPIC_OR_PARTITION
        elif count <= len(topic.partitions):
            code, why = Code.INVALID_PARTITIONS, f"the topic has {len(topic.partitions)} partitions already"
        elif count > PARTITIONS_PER_TOPIC_MAX or state.topics.count() + count - len(topic.partitions) > PARTITIONS_MAX:
            code, why = Code.INVALID_PARTITIONS, f"more than {PARTITIONS_PER_TOPIC_MAX} a topic or {PARTITIONS_MAX} in all"
        elif not request.validate_only:
            state.topics.grow(topic, count)
            state.journal.write("grow", name, count)
        answers.append((name, code, why))
    return {"topic_errors": answers}


def describe_configs(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for kind, name, asked in request.resources:
        topic = state.topics.by_name.get(name or "") if kind == TOPIC_RESOURCE else None
        rows = []
        for key, default in DEFAULTS.items() if topic else ():
            if asked is None or key in asked:
                own = key in topic.config if topic else False
                value = topic.config.get(key, default) if topic else default
                source = DYNAMIC_TOPIC_CONFIG if own else DEFAULT_CONFIG
                rows.append({"config_names": key, "config_value": value, "config_source": source, "is_default": not own})
        missing = kind == TOPIC_RESOURCE and topic is None
        code = Code.UNKNOWN_TOPIC_OR_PARTITION if missing else Code.NONE
        answers.append({"error_code": code, "resource_type": kind, "resource_name": name, "config_entries": rows})
    return {"resources": answers}


def alter_configs(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for kind, name, entries in request.resources:
        topic = state.topics.by_name.get(name or "") if kind == TOPIC_RESOURCE else None
        config = dict(entries or ())
        code, why = Code.NONE, None
        if topic is None:
            code = Code.UNKNOWN_TOPIC_OR_PARTITION
        elif wrong := bad_config(config):
            code, why = Code.INVALID_CONFIG, wrong
        elif not request.validate_only:
            state.journal.write("config", name, config)
            topic.config = config
        answers.append({"error_code": code, "error_message": why, "resource_type": kind, "resource_name": name})
    return {"resources": answers}
