"""The roster of a schedule by shifts: which shift holds at an instant of the calendar, and when the next change is.

Instants are whole seconds since 1970 at the schedule's own UTC offset, so that a day is a division by 86,400 and nothing is
rounded. The roster reads no clock and no time zone database.
"""

from datetime import UTC, date, datetime

from models.schedules import DAYS, Schedule

DAY_S = 86_400
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday (Monday is 0)."""
OTHERWISE = -1


class Roster:
    """Which shift holds when. Shifts are numbered as in the blueprint; OTHERWISE is none of them."""

    __slots__ = ("_closed", "_offset_s", "_shifts")

    def __init__(self, model: Schedule) -> None:
        hours, minutes = model.utc_offset[1:].split(":")
        self._offset_s = (int(hours) * 3600 + int(minutes) * 60) * (-1 if model.utc_offset[0] == "-" else 1)
        first = date(1970, 1, 1).toordinal()
        self._closed = frozenset(date.fromisoformat(day).toordinal() - first for day in model.closed)
        self._shifts: list[tuple[frozenset[int], int, int]] = []
        for shift in model.shifts or []:
            begin, end = _seconds(shift.from_), _seconds(shift.to)
            days = frozenset(DAYS.index(day) for day in shift.days)
            self._shifts.append((days, begin, end if end > begin else end + DAY_S))

    def local_s(self, start: datetime) -> float:
        """The instant `start` (UTC, if it says no offset) in the roster's seconds, to the microsecond."""
        moment = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return since.days * DAY_S + since.seconds + since.microseconds / 1e6 + self._offset_s

    def holds(self, at_s: int) -> int:
        """The shift that holds at an instant (and from it on): the first that covers it."""
        day = at_s // DAY_S
        for number, (_, begin, end) in enumerate(self._shifts):
            # A shift may have begun the day before.
            for first in (day, day - 1):
                if self._begins(number, first) and first * DAY_S + begin <= at_s < first * DAY_S + end:
                    return number
        return OTHERWISE

    def next_change(self, after_s: int) -> int | None:
        """The first instant after `after_s` at which another shift holds than before; None if that is never."""
        held = self.holds(after_s)
        day = after_s // DAY_S
        # A week without a closed date tells all: what does not change in it never does.
        for today in range(day, day + 9 + 8 * len(self._closed)):
            for edge in self._edges(today):
                if edge > after_s and self.holds(edge) != held:
                    return edge
        return None

    def _edges(self, today: int) -> list[int]:
        """The instants of a day at which some shift begins or ends, in order."""
        found = []
        for number, (_, begin, end) in enumerate(self._shifts):
            for first in (today - 1, today):
                if self._begins(number, first):
                    found += [edge for edge in (first * DAY_S + begin, first * DAY_S + end) if edge // DAY_S == today]
        return sorted(found)

    def _begins(self, number: int, day: int) -> bool:
        return (day + EPOCH_WEEKDAY) % 7 in self._shifts[number][0] and day not in self._closed


def _seconds(clock_time: str) -> int:
    hours, minutes = clock_time.split(":")
    return int(hours) * 3600 + int(minutes) * 60
