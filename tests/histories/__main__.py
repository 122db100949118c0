"""`python -m tests.histories [NAME...]`: record the stories with this version, under its logic version."""

import sys

from tests.histories.history import differences, record
from tests.histories.stories import STORIES

for name in sys.argv[1:] or sorted(STORIES):
    history = record(name)
    wrong = differences(history)
    if wrong:
        sys.exit(f"{name}: a replay does not give what was just recorded: {wrong}")
    print(f"{history.save()}: {len(history.ticks)} ticks, {len(history.told)} events and dead letters")
