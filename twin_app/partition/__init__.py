"""One partition's cycle: commands and time in, everything that is to be committed out. Pure: no clock, no I/O."""

from twin_app.partition.cycle import Accepted, ConfigRecord, Cycle, HostSettings, Output, Position, Row
from twin_app.partition.host import PartitionHost

__all__ = ["Accepted", "ConfigRecord", "Cycle", "HostSettings", "Output", "PartitionHost", "Position", "Row"]
