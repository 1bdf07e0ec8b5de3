"""The gateway itself, on aiohttp."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from typing import Optional

from aiohttp import web

from . import replies
from .latency import LatencyModel
from .limits import RequestLimit


class Gateway:
    """Answers chat completions and lists models.

    api_key: the key that requests must bear; None: any.
    limit: requests per minute; None: no limit.
    """

    def __init__(
        self,
        latency: LatencyModel,
        seed: int = 0,
        api_key: Optional[str] = None,
        limit: Optional[RequestLimit] = None,
    ) -> None:
        self._latency = latency
        self._randomness = random.Random(seed)
        self._api_key = api_key
        self._limit = limit
        self._numbers = itertools.count(1)

    def _refusal(self, request: web.Request) -> Optional[web.Response]:
        given = request.headers.get("Authorization", "")
        if self._api_key is not None and given != f"Bearer {self._api_key}":
            body = replies.error("Incorrect API key", "invalid_request_error", "invalid_api_key")
            return web.json_response(body, status=401)
        wait = self._limit.retry_after(time.monotonic()) if self._limit else 0
        if not wait:
            return None
        body = replies.error("Too many requests", "requests", "rate_limit_exceeded")
        return web.json_response(body, status=429, headers={"Retry-After": str(wait)})

    async def completions(self, request: web.Request) -> web.Response:
        """POST /v1/chat/completions"""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            body = await request.json()
            wrong = replies.check_request(body)
        except (json.JSONDecodeError, UnicodeDecodeError):
            wrong = "the body is not JSON"
        if wrong:
            answer = replies.error(wrong, "invalid_request_error", "invalid_request")
            return web.json_response(answer, status=400)
        reply = replies.completion(next(self._numbers), int(time.time()), body)
        tokens = reply["usage"]["completion_tokens"]
        await asyncio.sleep(self._latency.seconds(tokens, self._randomness))
        return web.json_response(reply)

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models"""
        return self._refusal(request) or web.json_response(replies.models())

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=64 << 20)
        application.router.add_post("/v1/chat/completions", self.completions)
        application.router.add_get("/v1/models", self.models)
        return application


async def serve(gateway: Gateway, host: str, port: int, stop: asyncio.Event) -> None:
    """Serves until `stop`; prints the address once it listens (port 0: a free one)."""
    runner = web.AppRunner(gateway.application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        bound = runner.addresses[0][1]
        print(f"holysheep gateway listening on http://{host}:{bound}/v1", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
