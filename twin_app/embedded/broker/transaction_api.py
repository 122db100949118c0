"""Producer ids and transactions, as requests."""

from typing import Any

from twin_app.embedded.broker.state import Call, State
from twin_app.embedded.broker.wire import Code


def init_producer_id(state: State, request: Any, call: Call) -> dict[str, Any]:
    if call.refuse:
        return {"error_code": call.refuse, "producer_id": -1, "producer_epoch": -1}
    code, producer_id, epoch = state.transactions.init_producer(request.transactional_id, request.transaction_timeout_ms)
    return {"error_code": code, "producer_id": producer_id, "producer_epoch": epoch}


def add_partitions(state: State, request: Any, call: Call) -> dict[str, Any]:
    """All partitions or none: one that does not exist is named, the others are answered as not attempted."""
    transaction, code = state.transactions.check(request.transactional_id, request.producer_id, request.producer_epoch)
    code = call.refuse or code
    wanted = [(topic, index) for topic, indexes in request.topics for index in indexes]
    unknown = {key for key in wanted if state.topics.partition(*key) is None}
    if not code and not unknown and transaction is not None:
        state.transactions.add_partitions(transaction, wanted)

    def answer(key: tuple[str, int]) -> int:
        if code or not unknown:
            return int(code)
        return Code.UNKNOWN_TOPIC_OR_PARTITION if key in unknown else OPERATION_NOT_ATTEMPTED

    return {"errors": [(topic, [(index, answer((topic, index))) for index in indexes]) for topic, indexes in request.topics]}


OPERATION_NOT_ATTEMPTED = 55


def add_offsets(state: State, request: Any, call: Call) -> dict[str, Any]:
    transaction, code = state.transactions.check(request.transactional_id, request.producer_id, request.producer_epoch)
    code = call.refuse or code
    if not code and transaction is not None:
        state.transactions.add_offsets(transaction, request.group_id, [])
    return {"error_code": code}


def txn_offset_commit(state: State, request: Any, call: Call) -> dict[str, Any]:
    transaction, code = state.transactions.check(request.transactional_id, request.producer_id, request.producer_epoch)
    code = call.refuse or code
    if not code and transaction is not None and request.group_id not in transaction.offsets:
        code = Code.INVALID_TXN_STATE
    answers = []
    accepted: list[tuple[str, int, int, str]] = []
    for topic, partitions in request.topics:
        rows = []
        for index, offset, metadata in partitions:
            own = code or (Code.NONE if state.topics.partition(topic, index) else Code.UNKNOWN_TOPIC_OR_PARTITION)
            if not own:
                accepted.append((topic, index, offset, metadata or ""))
            rows.append((index, own))
        answers.append((topic, rows))
    if accepted and transaction is not None:
        state.transactions.add_offsets(transaction, request.group_id, accepted)
    return {"errors": answers}


def end_txn(state: State, request: Any, call: Call) -> dict[str, Any]:
    transaction, code = state.transactions.check(request.transactional_id, request.producer_id, request.producer_epoch)
    code = call.refuse or code
    if not code and transaction is not None:
        code = state.transactions.end_asked(transaction, commit=bool(request.transaction_result))
    return {"error_code": code}
