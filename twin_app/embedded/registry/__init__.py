"""The embedded schema registry: the Confluent REST surface that Avro clients use, kept in a file.

Development tool, not for production. `subjects` decides, `store` remembers, `compatibility` compares, `server` speaks HTTP.
"""

from twin_app.embedded.registry.server import EmbeddedRegistry

__all__ = ["EmbeddedRegistry"]
