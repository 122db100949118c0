"""The switchboard: from records to commands, from commands to checked changes of a live twin. Pure."""

from models.events import EventRecord as Event
from twin_app.switchboard.board import Board, Change, Mark, Source
from twin_app.switchboard.live import LateRejection, LiveTwin
from twin_app.switchboard.parameters import Parameter, flatten
from twin_app.switchboard.parse import parse
from twin_app.switchboard.registration import blueprint_hash, blueprint_of
from twin_app.switchboard.spelling import read_command
from twin_app.switchboard.timescale import TimeScale
from twin_app.switchboard.wire import AvroReader, Limits, check_values

__all__ = [
    "AvroReader",
    "Board",
    "Change",
    "Event",
    "LateRejection",
    "Limits",
    "LiveTwin",
    "Mark",
    "Parameter",
    "Source",
    "TimeScale",
    "blueprint_hash",
    "blueprint_of",
    "check_values",
    "flatten",
    "parse",
    "read_command",
]
