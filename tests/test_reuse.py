"""Which connections are used again, and what a connect that never ends leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from holysheep import ConnectTimeout, HolySheepPool
from support import MESSAGES, ScriptedGateway, unanswering_port, until


def test_any_kept_connection_serves_the_next_call(gateway: ScriptedGateway) -> None:
    script = gateway.script("hold")

    async def main() -> tuple[int, int]:
        async with HolySheepPool("k", script.url, max_connections=200, max_keepalive=20) as pool:

            async def at_once(count: int) -> None:
                calls = asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(count)))
                await until(lambda: script.counts()["active"] == count)
                script.release()
                await calls

            await at_once(200)
            opened = pool.stats()["connections_opened"]
            await asyncio.sleep(0.5)  # those above max_keepalive are closed
            for count in (1, 1, 5, 20):
                await at_once(count)
            return opened, pool.stats()["connections_opened"]

    assert asyncio.run(main()) == (200, 200)


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
