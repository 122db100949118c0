"""What can be said of a blueprint without running it: loads, utilisations, expected queues, the bottleneck."""

from twin_app.analysis.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
