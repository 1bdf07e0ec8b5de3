"""Forks: the child's pool works afresh, and the parent's is undisturbed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any, Callable

import pytest
import uvloop

from holysheep import ForkedError, HolySheepPool
from support import MESSAGES, ScriptedGateway, until, wait_until

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def in_child(work: Callable[[], Any]) -> Callable[[], None]:
    """Forks, does `work` in the child; gives a check that it ended well, and in time."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)

    def check() -> None:
        assert os.waitpid(child, 0)[1] == 0

    return check


async def echo(pool: HolySheepPool, name: str, count: int = 20) -> None:
    async def one(number: int) -> None:
        word = f"{name} {number}"
        assert await pool.request("POST", "/e", json=word) == word

    await asyncio.gather(*(one(number) for number in range(count)))


def test_a_fork_between_calls_leaves_both_sides_working(gateway: ScriptedGateway) -> None:
    script = gateway.script("echo")
    pool = HolySheepPool("k", script.url)
    asyncio.run(echo(pool, "before"))
    check = in_child(lambda: asyncio.run(echo(pool, "child")))
    asyncio.run(echo(pool, "parent"))
    check()
    asyncio.run(pool.close())
    assert script.counts()["completed"] == 60


def test_a_fork_with_calls_in_flight_leaves_both_sides_working(gateway: ScriptedGateway) -> None:
    held, script = gateway.script("hold"), gateway.script("echo")
    pool, other = HolySheepPool("k", held.url), HolySheepPool("k", script.url)

    def child() -> None:
        asyncio.run(echo(other, "child"))
        stats = pool.stats()
        assert (stats["in_flight"], stats["waiting"]) == (0, 0)
        asyncio.run(other.close())
        asyncio.run(pool.close())

    async def main() -> None:
        calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(10)]
        await echo(other, "before")
        await until(lambda: held.counts()["active"] == 10)
        check = in_child(child)
        await echo(other, "parent")
        check()
        held.release()
        assert all("id" in reply for reply in await asyncio.gather(*calls))
        await pool.close()
        await other.close()

    asyncio.run(main())
    assert held.counts()["completed"] == 10
    assert script.counts()["completed"] == 60


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_calls_from_before_the_fork_fail_in_a_child_that_goes_on_with_the_loop(
    gateway: ScriptedGateway, new_loop: NewLoop
) -> None:
    script = gateway.script("hold,nth=0")
    pool = HolySheepPool("k", script.url)
    loop = new_loop()

    async def begin() -> asyncio.Future[Any]:
        call = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
        await until(lambda: script.counts()["active"] == 1)
        return call

    async def one(call: Any) -> Any:
        (outcome,) = await asyncio.wait_for(asyncio.gather(call, return_exceptions=True), 10)
        return outcome

    call = loop.run_until_complete(begin())

    def child() -> None:
        lost = loop.run_until_complete(one(call))
        assert isinstance(lost, ForkedError)
        assert lost.sent == "possibly sent"
        assert "id" in loop.run_until_complete(one(pool.chat_completion("m", MESSAGES)))

    in_child(child)()
    script.release()
    assert "id" in loop.run_until_complete(one(call))
    loop.run_until_complete(pool.close())
    loop.close()
    assert script.counts()["requests"] == 2


def test_a_fork_while_other_threads_call(gateway: ScriptedGateway) -> None:
    script = gateway.script("echo")
    pool = HolySheepPool("k", script.url)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            asyncio.run(echo(pool, "thread"))

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: pool.stats()["answered"] > 100)
    for _ in range(10):
        in_child(lambda: asyncio.run(echo(pool, "child")))()
    stop.set()
    for thread in threads:
        thread.join()
    asyncio.run(echo(pool, "parent"))
    asyncio.run(pool.close())
