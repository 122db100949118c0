"""Recorded histories: config log, clock log, events and a checkpoint, as a version of the product wrote them.

Every later version must give the same events from the same logs, and go on from the same checkpoint. If it does not, the meaning
of the state has changed: raise LOGIC_VERSION (models/checkpoint.py), list the upcast, and record anew with
`python -m tests.histories`.
"""
