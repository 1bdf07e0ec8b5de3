"""Which connections are used again, and what a connect that never ends leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from holysheep import ConnectTimeout, HolySheepPool
from support import MESSAGES, ScriptedGateway


def test_any_kept_connection_serves_the_next_call(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=50")

    async def main() -> tuple[int, int]:
        async with HolySheepPool("k", script.url, max_connections=200, max_keepalive=20) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(200)))
            opened = pool.stats()["connections_opened"]
            await asyncio.sleep(0.5)  # those above max_keepalive are closed
            for count in (1, 1, 5, 20):
                await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(count)))
            return opened, pool.stats()["connections_opened"]

    assert asyncio.run(main()) == (200, 200)


@contextlib.contextmanager
def unanswering_port() -> Iterator[int]:
    """A port whose backlog is full, so that connecting to it hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_calls_can_follow_connects_that_were_given_up() -> None:
    async def main(port: int) -> None:
        async with HolySheepPool("k", f"http://127.0.0.1:{port}/v1", timeout=0.3) as pool:
            for _ in range(3):
                calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in "123"]
                await asyncio.sleep(0.1)
                for call in calls:
                    call.cancel()
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
            for _ in range(3):
                with pytest.raises(ConnectTimeout):
                    await pool.chat_completion("m", MESSAGES)

    with unanswering_port() as port:
        asyncio.run(main(port))
