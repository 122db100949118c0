"""Which form of the kernel runs: compiled from its own sources, or the sources themselves. Both do exactly the same.

Cython compiles the hottest modules as they are; the types of their fields stand beside them, in a file of the same name with the
ending `.pxd`. It is done when the package is built, where there is a C compiler. Only what was compiled from these very
sources is used: after a change of one of them the sources run, until the package is built again.

Nothing of the product is imported here: the build reads this file too.
"""

import os
import sys
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

MODULES = (
    "lots",
    "calendar",
    "entity",
    "streams",
    "sampling",
    "resource",
    "queues",
    "arrivals",
    "statistics",
    "watch",
    "twin",
    "snapshot",
    "steps/base",
    "steps/serve",
    "steps/plain",
    "steps/control",
    "steps/wait",
)
DIRECTIVES = {"annotation_typing": False}
"""Types are those of the `.pxd` files alone: an annotation like `float` also admits a whole number."""
MARK = "compiled.txt"
"""Lies beside the compiled modules, and says what they were compiled from."""
COMPILED = "compiled"
"""The fast form, in words."""
PURE = "TWIN_PURE_KERNEL"
"""Set to anything in the environment, it makes the sources run."""


def digest(folder: Path) -> str:
    """What the modules in this folder would be compiled from."""
    found = blake2b(digest_size=16)
    for module in MODULES:
        found.update((folder / f"{module}.py").read_bytes())
        types = folder / f"{module}.pxd"
        found.update(types.read_bytes() if types.exists() else b"")
    return found.hexdigest()


def choose(folder: Path) -> str:
    """Let the modules in this folder be imported in their compiled form where that is possible; gives the form, in words."""
    mark = folder / MARK
    if os.environ.get(PURE):
        form = f"pure Python ({PURE} is set)"
    elif not mark.exists():
        form = "pure Python (not compiled)"
    elif mark.read_text() != digest(folder):
        form = "pure Python (the sources have changed since they were compiled)"
    elif not all((folder / (module + EXTENSION_SUFFIXES[0])).exists() for module in MODULES):
        form = "pure Python (compiled for another Python)"
    else:
        return COMPILED
    for part in (folder, folder / "steps"):
        # From here on only sources are found in these folders.
        sys.path_importer_cache[str(part)] = FileFinder(str(part), (SourceFileLoader, SOURCE_SUFFIXES))
    return form
