"""Forecasts: fork the live twin, run ahead, say what will happen and how sure that is.

From a question (a saved state, a horizon, scenarios) to revisions of an answer; the tasks in between are performed by a crew:
this process, or a pool of others. Nothing here touches a live twin after its state has been saved.
"""

from twin_app.forecast.answering import Crew, Effort, HorizonTooFar, Revised, answers
from twin_app.forecast.crews import InlineCrew
from twin_app.forecast.desk import Desk, DeskLimits, Reason, Request, State
from twin_app.forecast.feed import Feed, Published
from twin_app.forecast.fork import Fork, fork
from twin_app.forecast.pool import ForkPool, PoolLimits
from twin_app.forecast.question import Question, asked_by, question

__all__ = [
    "Crew",
    "Desk",
    "DeskLimits",
    "Effort",
    "Feed",
    "Fork",
    "ForkPool",
    "HorizonTooFar",
    "InlineCrew",
    "PoolLimits",
    "Published",
    "Question",
    "Reason",
    "Request",
    "Revised",
    "State",
    "answers",
    "asked_by",
    "fork",
    "question",
]
