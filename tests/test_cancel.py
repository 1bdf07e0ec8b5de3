"""Calls that are cancelled, at whatever moment: the transfer stops, the place is free."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from holysheep import HolySheepPool
from support import MESSAGES, ScriptedGateway, is_idle, until

Call = asyncio.Future[Any]


def start(pool: HolySheepPool, count: int) -> list[Call]:
    return [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(count)]


async def cancel_all(calls: list[Call]) -> None:
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


def test_cancel_stops_the_transfers_and_frees_the_places(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=10) as pool:
            for _ in range(5):
                calls = start(pool, 100)
                await asyncio.sleep(0.05)
                await cancel_all(calls)
            await until(lambda: is_idle(pool) and script.counts()["active"] == 0)
            assert pool.stats()["errors"]["cancelled"] == 500

    asyncio.run(main())
    assert script.counts()["completed"] == 0


def test_a_call_cancelled_while_it_waits_sends_nothing(gateway: ScriptedGateway) -> None:
    script = gateway.script("hold")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=1) as pool:
            (first,) = start(pool, 1)
            await until(lambda: script.counts()["active"] == 1)
            waiting = start(pool, 50)
            (last,) = start(pool, 1)
            await asyncio.sleep(0.05)
            await cancel_all(waiting)
            script.release()
            assert "id" in await first
            await until(lambda: script.counts()["active"] == 1)
            script.release()
            assert "id" in await last

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_a_call_cancelled_in_flight_gives_its_place_to_the_next(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000,nth=0")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=1) as pool:
            (first,) = start(pool, 1)
            await until(lambda: script.counts()["active"] == 1)
            (second,) = start(pool, 1)
            first.cancel()
            assert "id" in await asyncio.wait_for(second, 10)
            assert pool.stats()["connections_opened"] == 2

    asyncio.run(main())


def test_a_call_cancelled_before_it_began_is_never_submitted() -> None:
    async def main() -> None:
        async with HolySheepPool("k", "http://127.0.0.1:1/v1") as pool:
            await cancel_all(start(pool, 10))
            assert pool.stats()["submitted"] == 0

    asyncio.run(main())


def test_wait_for_ends_a_call(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")

    async def main() -> None:
        async with HolySheepPool("k", script.url) as pool:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(pool.chat_completion("m", MESSAGES), 0.2)
            await until(lambda: is_idle(pool) and script.counts()["active"] == 0)

    asyncio.run(main())


def test_a_storm_of_cancels(gateway: ScriptedGateway) -> None:
    """Calls cancelled at random moments: waiting, connecting, sending, reading, answered."""
    script = gateway.script("delay=3,size=3000")
    moments = random.Random(20240607)
    answered = 0

    async def one(pool: HolySheepPool) -> None:
        nonlocal answered
        call = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
        await asyncio.sleep(moments.uniform(0, 0.02))
        call.cancel()
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        assert isinstance(outcome, (dict, asyncio.CancelledError)), outcome
        answered += isinstance(outcome, dict)

    async def worker(pool: HolySheepPool, count: int) -> None:
        for _ in range(count):
            await one(pool)

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=50) as pool:
            await asyncio.gather(*(worker(pool, 200) for _ in range(100)))
            await until(lambda: is_idle(pool) and script.counts()["active"] == 0)
            stats = pool.stats()
            assert stats["submitted"] == stats["answered"] + stats["errors"]["cancelled"]
            replies = await asyncio.gather(*start(pool, 200))
            assert all("pad" in reply for reply in replies)

    asyncio.run(main())
    assert answered > 0
    counts = script.counts()
    assert counts["requests"] == counts["completed"] + counts["aborted"]
    assert counts["max_active"] <= 100  # a cancelled one may be seen to end after the next began
