"""A moment in which the interpreter sees to signals and lets other threads run."""


def breathe() -> None:
    """The interpreter does it at the beginning of each call of a function that is not compiled: this module never is."""
