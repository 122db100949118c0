"""The nearest valid name to a mistyped one, for the remedy of an error; bounded work however long either is."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

NAME_CHARS_MAX = 80
CANDIDATES_MAX = 500
SHOWN_MAX = 8


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name`, or None if none is alike. Looks at the first 500 candidates and 80 characters."""
    if len(name) > NAME_CHARS_MAX:
        return None
    pool = [candidate for candidate in islice(candidates, CANDIDATES_MAX) if len(candidate) <= NAME_CHARS_MAX]
    found = get_close_matches(name, pool, n=1, cutoff=0.6) or [one for one in pool if len(name) > 2 and one.startswith(name)]
    return found[0] if found else None


def suggestion(name: str, candidates: Iterable[str]) -> str | None:
    """A remedy: the nearest candidate, or None if none is alike."""
    found = nearest(name, candidates)
    return None if found is None else f"did you mean `{found}`?"


def nearest_path(path: str, paths: Iterable[str]) -> str | None:
    """The valid path most like `path`: the nearest first part, below it the nearest second part, and so on.

    None if no part on the way is alike. A last part that is like none gives the first path below the parts that are.
    """
    pool = [candidate.split(".") for candidate in paths]
    parts = path.split(".")
    for depth, part in enumerate(parts):
        names = dict.fromkeys(candidate[depth] for candidate in pool if len(candidate) > depth)
        if part not in names:
            match = nearest(part, names)
            if match is None:
                return ".".join(pool[0]) if depth and pool else None
            part = match
        pool = [candidate for candidate in pool if len(candidate) > depth and candidate[depth] == part]
    return ".".join(pool[0]) if pool else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A remedy: the nearest candidate, or else the first few that there are."""
    pool = list(islice(candidates, CANDIDATES_MAX))
    match = nearest(name, pool)
    if match is not None:
        return f"did you mean {match!r}?"
    if not pool:
        return "there is none"
    shown = ", ".join(repr(candidate) for candidate in pool[:SHOWN_MAX])
    return f"use one of {shown}" + (", ..." if len(pool) > SHOWN_MAX else "")
