"""Identical calls, all at once: how many of them reach the server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from aiohttp import web

from ... import payload
from ...clients import PATH, load_module
from ...model import Case, Figures, Metric, Settings
from ...runner import run_program
from .contenders import OURS

CALLS = 1_000
HOLD_SECONDS = 0.05  # so long that all calls are made before the first reply


class CountingServer:
    """Answers chat completions after HOLD_SECONDS and counts them."""

    def __init__(self) -> None:
        self.requests = 0
        application = web.Application()
        application.router.add_post("/v1" + PATH, self._answer)
        self._runner = web.AppRunner(application)

    async def _answer(self, _request: web.Request) -> web.Response:
        self.requests += 1
        await asyncio.sleep(HOLD_SECONDS)
        return web.Response(text=payload.reply(), content_type="application/json")

    async def start(self) -> str:
        """Gives the base URL."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        await self._runner.cleanup()


async def call_together(base_url: str) -> list[dict[str, Any]]:
    """The replies to CALLS identical calls."""
    pool_class = load_module("holysheep").CachedHolySheepPool
    async with pool_class(payload.API_KEY, base_url=base_url) as pool:
        calls = (pool.chat_completion(payload.MODEL, payload.MESSAGES) for _ in range(CALLS))
        replies: list[dict[str, Any]] = await asyncio.gather(*calls)
        return replies


async def perform() -> Figures:
    """Counts, and checks that every caller got the reply in a dict of its own."""
    server = CountingServer()
    base_url = await server.start()
    started = time.perf_counter()
    replies = await call_together(base_url)
    elapsed = time.perf_counter() - started
    await server.stop()
    expected = json.loads(payload.reply())
    if any(reply != expected for reply in replies) or len({id(one) for one in replies}) < CALLS:
        raise RuntimeError("a caller got no reply of its own")
    return {"requests": server.requests, "wall": elapsed - HOLD_SECONDS}


def measure_crowd(_client: str, settings: Settings) -> Figures:
    """In a process of its own, the server with it: only its count matters."""
    return run_program([sys.executable, "-m", "bench.suites.cache.crowd"], "", settings.limit)


CROWD = Case(
    "crowd",
    f"{CALLS:,} identical calls at once",
    (OURS,),
    (
        Metric("requests", "reached the server"),
        Metric("wall", "all but the server's wait ms", 1e3, 1),
    ),
    measure_crowd,
)

if __name__ == "__main__":
    print(json.dumps(asyncio.run(perform())))
