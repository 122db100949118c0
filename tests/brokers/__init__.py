"""Brokers and registries for tests: the embedded ones, and the real ones fetched from Maven Central."""
