"""One application with two workers for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.plant import Plant


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Two workers; Line_A, a neighbour on the other worker (`plant.neighbour`), and Shop."""
    made = Plant(tmp_path_factory.mktemp("plant"))
    try:
        made.open(2)
        made.neighbour = made.populate()
        yield made
    finally:
        made.close()
