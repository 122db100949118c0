"""The embedded development broker: one process that speaks enough of the Kafka protocol for this product and its tests.

Development tool, not for production. It keeps every acknowledged record through `kill -9` of itself (and through a power
cut with `fsync=True`), has groups, transactions with fencing and time-outs, compaction and retention; it has one copy of
everything, one core, no security, and binds to 127.0.0.1 only.

The way of a request: `server` reads a frame, `wire` decodes it, one of `data_api`, `admin_api`, `group_api`,
`transaction_api` answers from `topics`/`partition`, `groups`, `transactions`; what must survive goes through `journal`
(small facts) and the partition logs (records) before the answer leaves.
"""

from twin_app.embedded.broker.faults import Fault, Faults
from twin_app.embedded.broker.server import EmbeddedBroker

__all__ = ["EmbeddedBroker", "Fault", "Faults"]
