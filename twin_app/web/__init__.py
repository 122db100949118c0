"""What a worker shows over HTTP: the live page, the API, health and readiness. It reads between cycles."""

from twin_app.web.server import beside

__all__ = ["beside"]
