"""Each time limit ends its call, by its own name, and not too early."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import httpx
import pytest

import holysheep
from holysheep import HolySheepPool, Timeout
from holysheep.timeout import as_timeout, milliseconds
from support import MESSAGES, ScriptedGateway, ask, is_idle, sent, unanswering_port, until

# A limit may be late on a busy machine; one that isn't kept at all is later than this.
NEVER = 10


def timed(url: str, **options: Any) -> tuple[Any, float]:
    started = time.monotonic()
    return ask(url, **options), time.monotonic() - started


def test_read_timeout(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=20000")
    error, seconds = timed(script.url, timeout=0.3)
    assert isinstance(error, httpx.ReadTimeout)
    assert sent(error) == "possibly sent"
    assert 0.3 <= seconds < NEVER
    assert script.counts()["requests"] == 1


@pytest.mark.parametrize("words", ["drip=6", "drip_head=20"])
def test_a_dripping_reply_is_no_read_timeout(gateway: ScriptedGateway, words: str) -> None:
    reply, seconds = timed(gateway.script(words).url, timeout=1)
    assert "id" in reply
    assert seconds > 1


def test_total_timeout_ends_a_dripping_reply(gateway: ScriptedGateway) -> None:
    error, seconds = timed(gateway.script("drip=50").url, total_timeout=0.4)
    assert isinstance(error, holysheep.TotalTimeout)
    assert isinstance(error, httpx.TimeoutException)
    assert sent(error) == "answered"
    assert 0.4 <= seconds < NEVER


def test_total_timeout_counts_the_waiting(gateway: ScriptedGateway) -> None:
    script = gateway.script("hold")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=1, total_timeout=0.3) as pool:
            calls = (pool.chat_completion("m", MESSAGES) for _ in range(3))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(outcome).__name__ for outcome in outcomes] == ["TotalTimeout"] * 3
            assert is_idle(pool)

    asyncio.run(main())
    assert script.counts()["requests"] <= 2


def test_write_timeout(gateway: ScriptedGateway) -> None:
    async def main() -> Any:
        async with HolySheepPool("k", gateway.script("noread=5000").url, timeout=0.4) as pool:
            with pytest.raises(holysheep.WriteTimeout) as caught:
                await pool.request("POST", "/x", json="x" * 20_000_000)
            return caught.value

    error = asyncio.run(main())
    assert isinstance(error, httpx.WriteTimeout)
    assert sent(error) == "possibly sent"


def test_connect_timeout() -> None:
    with unanswering_port() as port:
        error, seconds = timed(f"http://127.0.0.1:{port}/v1", timeout=0.3)
    assert isinstance(error, httpx.ConnectTimeout)
    assert sent(error) == "not sent"
    assert 0.3 <= seconds < NEVER


def test_the_handshake_counts_as_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error, seconds = timed(f"https://127.0.0.1:{listener.getsockname()[1]}/v1", timeout=0.3)
    assert isinstance(error, httpx.ConnectTimeout)
    assert sent(error) == "not sent"
    assert 0.3 <= seconds < NEVER


def test_pool_timeout_and_the_place_comes_back(gateway: ScriptedGateway) -> None:
    script = gateway.script("hold,nth=0")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=1, pool_timeout=0.2) as pool:
            first = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await until(lambda: script.counts()["active"] == 1)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await pool.chat_completion("m", MESSAGES)
            assert sent(caught.value) == "not sent"
            script.release()
            assert await first
            assert await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_without_a_limit_a_call_waits(gateway: ScriptedGateway) -> None:
    for timeout in (None, Timeout(None, None, None)):
        assert "id" in ask(gateway.script("delay=300").url, timeout=timeout)


def test_the_limits_of_calls_run_by_themselves(gateway: ScriptedGateway) -> None:
    """A slow call's limit is not put off by its neighbours' bytes."""
    script = gateway.script("delay=20000,nth=0")

    async def main() -> None:
        async with HolySheepPool("k", script.url, timeout=0.5) as pool:
            slow = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await until(lambda: script.counts()["active"] == 1)
            started = time.monotonic()
            while not slow.done():
                await pool.chat_completion("m", MESSAGES)
                assert time.monotonic() - started < NEVER
            assert isinstance(slow.exception(), holysheep.ReadTimeout)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, (5000, 5000, 5000, -1, -1)),
        (0.0001, (1, 1, 1, -1, -1)),
        (None, (-1, -1, -1, -1, -1)),
        (Timeout(), (30000, 30000, 30000, -1, -1)),
        (Timeout(1, 2, 3, 4, 5), (1000, 3000, 2000, 4000, 5000)),
        (httpx.Timeout(5.0), (5000, 5000, 5000, 5000, -1)),
        (httpx.Timeout(None, read=2.5), (-1, -1, 2500, -1, -1)),
    ],
)
def test_what_timeout_takes(given: object, expected: tuple[int, ...]) -> None:
    """connect, write, read, pool and total, in milliseconds."""
    assert as_timeout(given).in_milliseconds() == expected


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.001, 1e20])
def test_impossible_seconds(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^what: "):
        milliseconds("what", wrong)


@pytest.mark.parametrize("wrong", ["1", True, [1], object()])
def test_seconds_of_a_wrong_type(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"^timeout: "):
        as_timeout(wrong)


def test_timeouts_compare_and_show_their_members() -> None:
    assert Timeout(1, read=2) == Timeout(connect=1, read=2)
    assert Timeout(1) != Timeout(2)
    assert Timeout(1) != 1
    assert eval(repr(Timeout(1, None, 3))) == Timeout(1, None, 3)
