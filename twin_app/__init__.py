"""Live digital twins. What a script needs is here: `from twin_app import simulate, At, set_`."""

from typing import Any

__all__ = ["At", "Run", "patch", "set_", "signal", "simulate", "spawn"]


def __getattr__(name: str) -> Any:
    # Late, so that a part of the product can be imported without the whole of it.
    if name in __all__:
        from twin_app import local

        return getattr(local, name)
    raise AttributeError(f"module 'twin_app' has no attribute {name!r}")
