"""The demo: the article's usage, then a comparison, against a gateway on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .cached_pool import CachedHolySheepPool
from .pool import HolySheepPool

CALLS = 2000
IN_FLIGHT = 50
QUESTIONS = 400
MESSAGES = [{"role": "user", "content": "Say hello to the sheep."}]
Call = Callable[[], Awaitable[Any]]


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[str]:
    """A gateway process; gives its base URL."""
    command = (sys.executable, "-m", "holysheep", "gateway", "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if "listening on " not in line:
            raise OSError("the gateway did not start")
        yield line.rsplit(" ", 1)[1].strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def article_usage(base_url: str) -> list[dict[str, Any]]:
    """Fifty connections, ten calls made at once and gathered, then close."""
    pool = HolySheepPool("demo-key", base_url=base_url, max_connections=50)
    tasks = [
        pool.chat_completion("gpt-4.1", [{"role": "user", "content": f"Question {number}"}])
        for number in range(10)
    ]
    results = await asyncio.gather(*tasks)
    await pool.close()
    return results


async def cached_usage(base_url: str) -> tuple[int, int]:
    """Calls that repeat; hits and misses counted by hand, as in the article."""
    pool = CachedHolySheepPool("demo-key", base_url=base_url)
    hits = misses = 0
    for question in ("sheep", "wool", "sheep", "sheep"):
        result = await pool.chat_completion("gpt-4.1", [{"role": "user", "content": question}])
        if result.get("cached"):
            hits += 1
        else:
            misses += 1
    await pool.close()
    return hits, misses


async def timed_calls(call: Call, progress: Progress, label: str) -> tuple[float, list[float]]:
    """Makes CALLS calls, IN_FLIGHT at a time; gives seconds in all and of each, sorted."""
    bar = progress.add_task(label, total=CALLS)
    latencies: list[float] = []
    numbers = itertools.count()

    async def worker() -> None:
        while next(numbers) < CALLS:
            started = time.perf_counter()
            await call()
            latencies.append(time.perf_counter() - started)
            progress.advance(bar)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started, sorted(latencies)


def add_row(
    table: Table, name: str, run: tuple[float, list[float]], connections: int, cached: int = 0
) -> None:
    """One line: requests/s, P50 and P99 in ms, connections opened, calls from the cache."""
    seconds, latencies = run
    p50 = statistics.median(latencies) * 1000
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    rate = len(latencies) / seconds
    share = f"{cached / len(latencies):.0%}"
    table.add_row(name, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{connections:,}", share)


async def compare(base_url: str, console: Console) -> Table:
    """The pool, and beside it a fresh httpx client for each request."""
    table = Table(title=f"{CALLS:,} calls, {IN_FLIGHT} in flight, replies after about 20 ms")
    for title in ("client", "requests/s", "P50 ms", "P99 ms", "connections", "cached"):
        table.add_column(title, justify="left" if title == "client" else "right")
    body = {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0.7, "max_tokens": 2048}
    context = httpx.create_ssl_context()

    async def fresh_client() -> Any:
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60) as client:
            reply = await client.post(base_url + "/chat/completions", json=body)
            return reply.raise_for_status().json()

    with Progress(console=console) as progress:
        async with HolySheepPool("demo-key", base_url=base_url, max_connections=50) as pool:
            run = await timed_calls(
                lambda: pool.chat_completion("gpt-4.1", MESSAGES), progress, "HolySheepPool"
            )
            add_row(table, "HolySheepPool", run, pool.stats()["connections_opened"])
        async with CachedHolySheepPool(
            "demo-key", base_url=base_url, max_connections=50
        ) as cached_pool:
            randomness = random.Random(1)

            async def repeating_call() -> Any:
                number = randomness.randrange(QUESTIONS)
                question = [{"role": "user", "content": f"Question {number}"}]
                return await cached_pool.chat_completion("gpt-4.1", question)

            run = await timed_calls(repeating_call, progress, "CachedHolySheepPool")
            stats = cached_pool.stats()
            saved = stats["cache"]["hits"] + stats["cache"]["coalesced"]
            opened = stats["connections_opened"]
            add_row(table, f"CachedHolySheepPool, {QUESTIONS} questions", run, opened, saved)
        run = await timed_calls(fresh_client, progress, "a fresh httpx client per request")
        add_row(table, "a fresh httpx client per request", run, len(run[1]))
    return table


async def main() -> None:
    """Runs the demo and prints what came of it."""
    console = Console()
    async with gateway() as base_url:
        console.print(f"gateway: {base_url}")
        for result in await article_usage(base_url):
            console.print(f"  {result['id']}: {result['choices'][0]['message']['content']}")
        hits, misses = await cached_usage(base_url)
        console.print(f"  with a cache: {hits} hits, {misses} misses")
        console.print(await compare(base_url, console))
