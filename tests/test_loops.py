"""One pool, many event loops and threads; loops that end before their calls do."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import weakref
from typing import Any, Callable

import pytest
import uvloop

from holysheep import HolySheepPool
from support import MESSAGES, ScriptedGateway, descriptors, is_idle, wait_until

NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


async def some(pool: HolySheepPool, count: int = 20) -> None:
    await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(count)))


def run_in(new_loop: NewLoop, work: Any) -> Any:
    loop = new_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def run_in_threads(works: list[Callable[[], Any]]) -> None:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def has_answered(pool: HolySheepPool) -> bool:
    """Whether so many calls are over that the pool is at work."""
    return pool.stats()["answered"] > 20


@LOOPS
def test_either_kind_of_loop(gateway: ScriptedGateway, new_loop: NewLoop) -> None:
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool("k", script.url) as pool:
            await some(pool, 50)

    run_in(new_loop, main())
    assert script.counts()["completed"] == 50


def test_one_pool_many_loops_and_threads(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=1")
    pool = HolySheepPool("k", script.url, max_connections=10)
    asyncio.run(some(pool))
    kinds = [asyncio.new_event_loop, uvloop.new_event_loop] * 2

    def call_in(kind: NewLoop) -> None:
        run_in(kind, some(pool, 200))

    run_in_threads([functools.partial(call_in, kind) for kind in kinds])
    asyncio.run(some(pool))
    asyncio.run(pool.close())
    counts = script.counts()
    assert counts["completed"] == 840
    assert counts["max_active"] <= 10


def test_each_thread_gets_its_own_replies(gateway: ScriptedGateway) -> None:
    pool = HolySheepPool("k", gateway.script("echo").url, max_connections=8)

    async def talk(name: str) -> None:
        async def one(number: int) -> None:
            word = f"{name} {number}"
            assert await pool.request("POST", "/e", json=word) == word

        await asyncio.gather(*(one(number) for number in range(300)))

    def talk_alone(name: str) -> None:
        asyncio.run(talk(name))

    run_in_threads([functools.partial(talk_alone, name) for name in "abc"])
    asyncio.run(pool.close())


def test_asyncio_run_again_and_again(gateway: ScriptedGateway) -> None:
    pool = HolySheepPool("k", gateway.script().url)
    asyncio.run(some(pool, 2))
    before = descriptors()
    for _ in range(50):
        asyncio.run(some(pool, 2))
    assert descriptors() <= before + 2  # the last loop's queue may be there, too
    assert pool.stats()["connections_opened"] == 2
    asyncio.run(pool.close())


@LOOPS
def test_a_loop_that_ends_before_its_calls(gateway: ScriptedGateway, new_loop: NewLoop) -> None:
    script = gateway.script("delay=30000,nth=0")
    pool = HolySheepPool("k", script.url, max_connections=1)

    async def begin() -> None:
        task = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
        await asyncio.sleep(0.1)
        assert not task.done()

    run_in(new_loop, begin())
    gc.collect()
    asyncio.run(asyncio.wait_for(some(pool, 3), 10))
    asyncio.run(pool.close())
    assert is_idle(pool)
    wait_until(lambda: script.counts()["active"] == 0)


def test_close_in_another_loop_ends_the_calls_of_the_first(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")
    pool = HolySheepPool("k", script.url)
    outcomes: list[Any] = []

    async def wait() -> None:
        calls = (pool.chat_completion("m", MESSAGES) for _ in range(5))
        outcomes.extend(await asyncio.gather(*calls, return_exceptions=True))

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    wait_until(lambda: script.counts()["active"] == 5)
    asyncio.run(pool.close())
    thread.join()
    assert [type(outcome).__name__ for outcome in outcomes] == ["PoolClosed"] * 5


def test_close_while_other_threads_go_on_calling(gateway: ScriptedGateway) -> None:
    script = gateway.script()
    outcomes: list[Any] = []

    async def caller(pool: HolySheepPool) -> None:
        while True:
            try:
                await pool.chat_completion("m", MESSAGES)
            except Exception as error:
                outcomes.append(error)
                return

    async def callers(pool: HolySheepPool) -> None:
        await asyncio.gather(*(caller(pool) for _ in range(20)))

    for _ in range(10):
        pool = HolySheepPool("k", script.url, max_connections=5)
        work = [threading.Thread(target=lambda p=pool: asyncio.run(callers(p))) for _ in "12"]
        for thread in work:
            thread.start()
        wait_until(functools.partial(has_answered, pool))
        asyncio.run(pool.close())
        for thread in work:
            thread.join()
    assert [type(outcome).__name__ for outcome in outcomes] == ["PoolClosed"] * 400


def test_a_pool_that_is_dropped_lets_go_of_everything(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000,nth=0")
    gc.collect()
    before = descriptors(), threading.active_count()
    pools: list[HolySheepPool] = []

    async def main() -> None:
        pools.append(HolySheepPool("k", script.url))
        call = asyncio.ensure_future(pools[0].chat_completion("m", MESSAGES))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await some(pools[0], 3)

    asyncio.run(main())
    gone = weakref.ref(pools.pop())
    gc.collect()
    assert gone() is None
    assert (descriptors(), threading.active_count()) == before
    wait_until(lambda: script.counts()["active"] == 0)
