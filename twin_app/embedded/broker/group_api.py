"""Group membership and committed offsets, as requests."""

from typing import Any

from twin_app.embedded.broker.groups import DEAD, EMPTY, METADATA_BYTES_MAX, Committed
from twin_app.embedded.broker.state import HOST, NODE_ID, Call, State
from twin_app.embedded.broker.wire import Code


def find_coordinator(state: State, request: Any, call: Call) -> dict[str, Any]:
    return {"error_code": call.refuse, "coordinator_id": NODE_ID, "host": HOST, "port": state.port}


async def join_group(state: State, request: Any, call: Call) -> dict[str, Any]:
    if call.refuse:
        return {
            "error_code": call.refuse,
            "generation_id": -1,
            "group_protocol": "",
            "leader_id": "",
            "member_id": request.member_id,
        }
    joined = await state.groups.get(request.group).join(request, call.client, ids_first=call.version >= 4)
    return {
        "error_code": joined.code,
        "generation_id": joined.generation,
        "group_protocol": joined.protocol,
        "leader_id": joined.leader,
        "member_id": joined.member_id,
        "members": [
            {"member_id": member_id, "group_instance_id": instance, "member_metadata": metadata}
            for member_id, instance, metadata in joined.members
        ],
    }


async def sync_group(state: State, request: Any, call: Call) -> dict[str, Any]:
    if call.refuse:
        return {"error_code": call.refuse, "member_assignment": b""}
    instance = getattr(request, "group_instance_id", None)
    group = state.groups.get(request.group)
    code, assignment = await group.sync(request.member_id, request.generation_id, instance, request.group_assignment)
    return {"error_code": code, "member_assignment": assignment}


def heartbeat(state: State, request: Any, call: Call) -> dict[str, Any]:
    return {"error_code": call.refuse or state.groups.get(request.group).heartbeat(request.member_id, request.generation_id)}


def leave_group(state: State, request: Any, call: Call) -> dict[str, Any]:
    return {"error_code": state.groups.get(request.group).leave(request.member_id)}


def offset_commit(state: State, request: Any, call: Call) -> dict[str, Any]:
    group = state.groups.get(request.consumer_group)
    refused = call.refuse or group.check_commit(request.consumer_id or "", request.consumer_group_generation_id)
    answers = []
    for topic, partitions in request.topics:
        rows = []
        for row in partitions:
            index, offset, metadata = row[0], row[1], row[-1] or ""
            code = refused
            if not code and state.topics.partition(topic, index) is None:
                code = Code.UNKNOWN_TOPIC_OR_PARTITION
            elif not code and len(metadata) > METADATA_BYTES_MAX:
                code = Code.OFFSET_METADATA_TOO_LARGE
            if not code:
                state.journal.write("offset", group.name, topic, index, offset, metadata)
                group.offsets[topic, index] = Committed(offset, metadata)
            rows.append((index, code))
        answers.append((topic, rows))
    return {"topics": answers}


def offset_fetch(state: State, request: Any, call: Call) -> dict[str, Any]:
    group = state.groups.known(request.consumer_group)
    offsets = group.offsets if group else {}
    asked = request.topics
    if asked is None:
        everything: dict[str, list[int]] = {}
        for topic, index in offsets:
            everything.setdefault(topic, []).append(index)
        asked = list(everything.items())
    none = Committed(-1, "")
    answers = [(topic, [(i, *offsets.get((topic, i), none), Code.NONE) for i in indexes]) for topic, indexes in asked]
    return {"topics": answers, "error_code": Code.NONE}


def describe_groups(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for name in request.groups:
        group = state.groups.known(name)
        if group is None:
            answers.append({"error_code": Code.NONE, "group": name, "state": DEAD, "protocol_type": "", "protocol": ""})
            continue
        members = [
            {
                "member_id": member.id,
                "client_id": member.client,
                "client_host": f"/{HOST}",
                "member_metadata": member.protocols.get(group.protocol, b""),
                "member_assignment": member.assignment,
            }
            for member in group.members.values()
        ]
        facts = {"group": name, "state": group.state, "protocol_type": group.protocol_type, "protocol": group.protocol}
        answers.append({"error_code": Code.NONE, **facts, "members": members})
    return {"groups": answers}


def list_groups(state: State, request: Any, call: Call) -> dict[str, Any]:
    return {"error_code": Code.NONE, "groups": [(group.name, group.protocol_type) for group in state.groups.by_name.values()]}


def delete_groups(state: State, request: Any, call: Call) -> dict[str, Any]:
    answers = []
    for name in request.groups_names:
        group = state.groups.known(name)
        code = Code.GROUP_ID_NOT_FOUND
        if group is not None:
            code = Code.NONE if group.state == EMPTY else Code.NON_EMPTY_GROUP
            if code is Code.NONE:
                state.journal.write("drop-group", name)
                del state.groups.by_name[name]
        answers.append((name, code))
    return {"results": answers}
