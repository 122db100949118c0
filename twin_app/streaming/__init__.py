"""The I/O around the partition hosts: membership, fetch, changelog recovery and one transaction per cycle.

The only room that knows Faust and the Kafka client. It decides nothing about twins: it hands a host its commands and the
wall time, and writes what the host hands back, all of it or nothing.
"""
