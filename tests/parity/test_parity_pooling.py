"""The same slots, in the same order, over as many connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sides import SIDES, Pool, both_scripts

from support import MESSAGES, Script, ScriptedGateway, release_round, until


def gather(count: int) -> Any:
    async def use(pool: Pool) -> Any:
        calls = (pool.chat_completion(str(number), MESSAGES) for number in range(count))
        return await asyncio.gather(*calls)

    return use


@pytest.mark.parametrize(("slots", "count"), [(1, 10), (3, 12), (8, 40), (50, 50)])
def test_as_many_are_in_flight(gateway: ScriptedGateway, slots: int, count: int) -> None:
    async def main(side: Any, script: Script) -> None:
        pool = side("key", script.url, max_connections=slots)
        calls = asyncio.ensure_future(gather(count)(pool))
        for completed in range(slots, count + 1, slots):
            await release_round(script, slots, completed)
        await calls
        await pool.close()

    for side in SIDES:
        script = gateway.script("hold")
        asyncio.run(main(side, script))
        assert (script.counts()["max_active"], script.counts()["requests"]) == (slots, count)


def test_first_come_first_served(gateway: ScriptedGateway) -> None:
    scripts = both_scripts(gateway, "", gather(100), max_connections=1)
    for script in scripts:
        assert [body["model"] for body in script.bodies()] == [str(n) for n in range(100)]


def test_a_later_caller_waits_behind_those_before(gateway: ScriptedGateway) -> None:
    """Each round's callers come while the last round's still wait."""

    async def use(pool: Pool) -> Any:
        calls: list[asyncio.Future[Any]] = []
        for number in range(20):
            call = pool.chat_completion(str(number), MESSAGES)
            calls.append(asyncio.ensure_future(call))
            await asyncio.sleep(0.005)
        return await asyncio.gather(*calls)

    for script in both_scripts(gateway, "delay=20", use, max_connections=1):
        assert [body["model"] for body in script.bodies()] == [str(n) for n in range(20)]


@pytest.mark.parametrize(("kept", "expected"), [(0, 12), (1, 1), (20, 1)])
def test_calls_one_after_another_share_a_connection(
    own_gateway: ScriptedGateway, kept: int, expected: int
) -> None:
    async def use(pool: Pool) -> Any:
        for _ in range(12):
            await pool.chat_completion("m", MESSAGES)

    for side in SIDES:
        assert connections_of(own_gateway, side, use, max_keepalive=kept) == expected


def connections_of(gateway: ScriptedGateway, side: Any, use: Any, **options: Any) -> int:
    """How many connections a use of one side opens. Each question is one, too."""

    async def main() -> int:
        pool = side("key", gateway.script().url, **options)
        before: int = gateway.ask("connections")["opened"]
        await use(pool)
        after: int = gateway.ask("connections")["opened"]
        await pool.close()
        return after - before - 1

    return asyncio.run(main())


def test_as_many_idle_connections_are_kept(own_gateway: ScriptedGateway) -> None:
    def idle() -> int:
        open_now: int = own_gateway.ask("connections")["open"]
        return open_now - 1  # that of the question itself

    async def main(side: Any) -> None:
        pool = side("key", own_gateway.script("delay=60").url, max_keepalive=4)
        await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(30)))
        await until(lambda: idle() == 4)
        await asyncio.sleep(0.3)
        assert idle() == 4
        await pool.close()
        await until(lambda: idle() == 0)

    for side in SIDES:
        asyncio.run(main(side))


def test_a_cancelled_call_gives_its_slot_back(gateway: ScriptedGateway) -> None:
    async def main(side: Any) -> list[str]:
        script = gateway.script("delay=30000,nth=0")
        pool = side("key", script.url, max_connections=1)
        first = asyncio.ensure_future(pool.chat_completion("0", MESSAGES))
        await until(lambda: script.counts()["active"] == 1)
        waiting = [
            asyncio.ensure_future(pool.chat_completion(str(n), MESSAGES)) for n in range(1, 5)
        ]
        await asyncio.sleep(0.05)
        waiting[1].cancel()
        first.cancel()
        outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
        await pool.close()
        kinds = [type(outcome).__name__ for outcome in outcomes]
        assert kinds == ["CancelledError", "dict", "CancelledError", "dict", "dict"]
        return [body["model"] for body in script.bodies()]

    theirs, ours = (asyncio.run(main(side)) for side in SIDES)
    assert ours == ["0", "1", "3", "4"]
    # asyncio's semaphore lost the order on a cancel until bpo-45997 was fixed.
    assert sorted(theirs) == ours
