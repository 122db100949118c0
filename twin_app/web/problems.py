"""Errors as `application/problem+json` (RFC 9457), with the product's code, place and remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from models.errors import TwinError

CONTENT_TYPE = "application/problem+json"

STATUS = {
    "unknown-twin": 404,
    "unknown-path": 404,
    "unknown-page": 404,
    "unknown-forecast": 404,
    "method-not-allowed": 405,
    "token-needed": 401,
    "token-not-set": 403,
    "foreign-host": 403,
    "body-too-large": 413,
    "not-json": 415,
    "twin-exists": 409,
    "stale-version": 409,
    "work-in-progress": 409,
    "too-many-clients": 429,
    "owner-unreachable": 502,
    "not-ready": 503,
    "broker-unreachable": 503,
    "registry-unreachable": 503,
    "no-answer": 504,
    "unforeseen": 500,
}
"""HTTP status by the error's code; any other refusal is 422, what the caller sent cannot be done."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """Why a request was refused."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="The code as a URN")
    title: str = Field(description="What went wrong")
    status: int = Field(ge=400, le=599, description="The HTTP status")
    code: str = Field(description="Stable name of the kind of error, safe to match on")
    place: str | None = Field(None, description="Where: a parameter, a path, a twin, a topic-partition-offset")
    remedy: str | None = Field(None, description="What the caller can do")


def problem(error: TwinError, status: int | None = None) -> web.Response:
    """The response for an error. The status follows from its code."""
    status = status or STATUS.get(error.code, 422)
    body = Problem(
        type=f"urn:twin:problem:{error.code}",
        title=error.message[:2_000],
        status=status,
        code=error.code,
        place=error.place,
        remedy=error.remedy,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(body=orjson.dumps(body.model_dump()), status=status, content_type=CONTENT_TYPE, headers=headers)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every way in which a request can fail ends as a problem."""
    try:
        return await handler(request)
    except TwinError as error:
        return problem(error)
    except web.HTTPException as error:
        return _of_http(request, error)
    except ConnectionError:
        raise  # the caller is gone
    except Exception as error:
        log.exception("request-failed", method=request.method, path=request.path)
        remedy = "this is a defect: please report it with the worker's log"
        return problem(TwinError("unforeseen", f"the request failed ({type(error).__name__})", place=request.path, remedy=remedy))


def _of_http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    known: dict[int, Any] = {
        404: ("unknown-page", "there is nothing here", "see /api/openapi.json for what there is"),
        405: ("method-not-allowed", f"{request.method} is not possible here", None),
        413: ("body-too-large", "the body is longer than is read", "send less"),
    }
    code, message, remedy = known.get(error.status, ("bad-request", error.reason, None))
    response = problem(TwinError(code, message, place=request.path[:200], remedy=remedy), error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
