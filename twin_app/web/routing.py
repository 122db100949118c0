"""Which worker a request about a twin is for, and the way there.

The group's leader tells every member which worker (by its URL) has which partition. The name's hash says where a Kafka client
puts a twin by default; a producer may have chosen another partition, so the other workers are asked when that one has no such
twin. A request is passed on once at most.
"""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
import structlog
from aiohttp import web
from aiokafka.partitioner import murmur2
from yarl import URL

from models.errors import TwinError
from twin_app.streaming.standing import Standing
from twin_app.web.access import add_careful_headers
from twin_app.web.hosted import Hosted, unknown_twin
from twin_app.web.shapes import TwinList, WorkerShape

PASSED_ON = "X-Twin-Passed-On"
"""Header of a request that another worker has passed on: it is answered here or not at all."""
WORKERS_MAX = 500
CONNECT_S = 2.0
ANSWER_S = 15.0
"""What a worker may take for a list; a request that is passed on may stream for as long as its caller likes."""
CHUNK_BYTES = 64 << 10
_KEPT_HEADERS = ("Content-Type", "Cache-Control", "Retry-After", "Location")

log = structlog.get_logger(__name__)


def partition_of(twin: str, partitions: int) -> int:
    """The partition that the Kafka clients' default partitioner gives a key."""
    return int((murmur2(twin.encode()) & 0x7FFFFFFF) % partitions)


class Router:
    """Finds the owner of a twin. `session` belongs to it; `close` it."""

    def __init__(self, standing: Standing, hosted: Hosted) -> None:
        self._standing, self._hosted = standing, hosted
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def workers(self) -> dict[str, list[int]]:
        """URL -> partitions, as the last assignment has it; this worker always among them."""
        found: dict[str, list[int]] = {self._hosted.url: []}
        for partition, url in sorted(self._standing.owners().items()):
            if url in found or len(found) < WORKERS_MAX:
                found.setdefault(url, []).append(partition)
        return found

    def others(self) -> list[str]:
        return [url for url in self.workers() if url != self._hosted.url]

    async def elsewhere(self, request: web.Request, twin: str, *, new: bool = False) -> web.StreamResponse | None:
        """The answer of the worker that hosts the twin; None if that is this one.

        A twin that nobody hosts yet (`new`) is a matter of the worker that will. Raises TwinError `unknown-twin`, `not-ready`,
        `owner-unreachable`.
        """
        if self._hosted.driver_of(twin) is not None:
            return None
        if PASSED_ON in request.headers:
            if new and not self._hosted.is_settling():
                return None
            raise self._absent(twin)
        owner = self._standing.owners().get(partition_of(twin, self._standing.settings.partitions))
        candidates = list(dict.fromkeys([*([owner] if owner is not None else []), *self.others()]))
        unreached: list[str] = []
        for url in candidates:
            if url == self._hosted.url:
                continue
            try:
                hosts = await self._hosts(url, twin)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                unreached.append(url)
                continue
            if hosts:
                return await self._pass_on(request, url)
        if new:
            if owner in (None, self._hosted.url):
                return None
            return await self._pass_on(request, str(owner))
        if unreached:
            raise TwinError(
                "owner-unreachable",
                f"{len(unreached)} worker(s) did not answer, and the others do not host {twin!r}",
                place=", ".join(unreached[:5]),
                remedy="look whether the workers reach one another (TWIN_WEB_URL), or ask again after the next rebalance",
            )
        raise self._absent(twin)

    def _absent(self, twin: str) -> TwinError:
        if self._hosted.is_settling():
            return TwinError(
                "not-ready",
                "the worker is still restoring its partitions",
                place=twin,
                remedy="ask again in a moment; see /ready",
            )
        return unknown_twin(twin)

    async def _hosts(self, url: str, twin: str) -> bool:
        async with self._client().head(
            f"{url}/api/twins/{twin}", headers=self._headers(), timeout=aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
        ) as answer:
            return answer.status == 200

    async def _pass_on(self, request: web.Request, url: str) -> web.StreamResponse:
        """The other worker's answer, chunk by chunk."""
        body = await request.read() or None  # kept by the request, whoever has read it before
        headers = self._headers() | {
            name: request.headers[name] for name in ("Content-Type", "Accept", "Last-Event-ID") if name in request.headers
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=60.0)
        target = f"{url}{request.rel_url.raw_path_qs}"
        try:
            async with self._client().request(
                request.method, URL(target, encoded=True), data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                for name in _KEPT_HEADERS:
                    if name in answer.headers:
                        response.headers[name] = answer.headers[name]
                response.headers["X-Twin-Worker"] = url
                add_careful_headers(response)
                await response.prepare(request)
                if request.method != "HEAD":
                    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError) as error:
            if "response" in locals() and response.prepared:
                raise ConnectionResetError("the worker that answered is gone") from error
            raise TwinError(
                "owner-unreachable",
                f"the worker that hosts the twin did not answer: {type(error).__name__}",
                place=url,
                remedy="ask again: after a crash another worker takes over",
            ) from error

    async def twins(self, after: str, limit: int, *, here_only: bool) -> TwinList:
        """Twins of all workers by name, above `after`. A worker that does not answer is named."""
        found = {summary.twin: summary for summary in self._hosted.summaries(after, limit + 1)}
        shapes = []
        answers: dict[str, TwinList | None] = {}
        if not here_only:
            others = self.others()
            lists = await asyncio.gather(*(self._list(url, after, limit) for url in others))
            answers = dict(zip(others, lists, strict=True))
        for answer in answers.values():
            for summary in answer.twins if answer is not None else ():
                known = found.get(summary.twin)
                if known is None or known.seq < summary.seq:
                    found[summary.twin] = summary
        for url, partitions in self.workers().items():
            here = url == self._hosted.url
            if here or not here_only:
                reached = here or answers.get(url) is not None
                shapes.append(WorkerShape(url=url, partitions=partitions, here=here, reached=reached))
        names = sorted(found)
        more = len(names) > limit or any(a is not None and a.next_after is not None for a in answers.values())
        names = names[:limit]
        return TwinList(twins=[found[name] for name in names], next_after=names[-1] if more and names else None, workers=shapes)

    async def _list(self, url: str, after: str, limit: int) -> TwinList | None:
        try:
            async with self._client().get(
                f"{url}/api/twins",
                params={"after": after, "limit": str(limit), "here": "true"},
                headers=self._headers(),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S),
            ) as answer:
                if answer.status != 200:
                    return None
                return TwinList.model_validate(orjson.loads(await answer.read()))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.info("worker-not-reached", url=url, error=type(error).__name__)
            return None

    def _headers(self) -> dict[str, str]:
        token = self._standing.settings.web_token
        return {PASSED_ON: "1"} | ({} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"})

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        return self._session
