"""A new blueprint for a running twin, with the work in progress kept.

A twin is plain data, so a migration is a transformation of data: the snapshot of the old twin is laid over the structure that
the new blueprint gives, part by part and by name, and a new twin is filled from it. Who stands at a step that is still there
keeps all that it has: its place in line, the time left, its tie, what it holds and remembers. Who is moved is taken out of what
it waits for, and begins at its new step at the same instant.

Everything is checked before anything is done, and the old twin is never touched: what does not fit is told as a whole, and the
twin goes on as it was. `migration` goes through it in order: `moves` (which step leads where, by `correspondence`), `values`,
`placement` (by the `verdict` on each entity), `withdrawal`, `carrying` (with `resources` and `sources`), and at last `sequel`.
They share the `work` and the `report`, and `checks` reads both; none of them knows those that come after it.
"""

from twin_app.kernel.migration.migration import Migration
from twin_app.kernel.migration.report import Misfit, Report

__all__ = ["Migration", "Misfit", "Report"]
