"""A development broker and schema registry for a machine without Docker or Java.

Development tools, not for production: one process, one copy of the data, 127.0.0.1 only.
"""

from twin_app.embedded.broker import EmbeddedBroker, Fault
from twin_app.embedded.registry import EmbeddedRegistry

__all__ = ["EmbeddedBroker", "EmbeddedRegistry", "Fault"]
