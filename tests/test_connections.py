"""How connections are shared, kept and given up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from holysheep import HolySheepPool
from support import MESSAGES, Certificates, Nginx, ScriptedGateway, release_round, until


def test_at_most_max_connections_in_flight_and_first_come_first_served(
    gateway: ScriptedGateway,
) -> None:
    script = gateway.script("hold")

    async def main() -> Any:
        async with HolySheepPool("k", script.url, max_connections=3) as pool:
            messages = [[{"role": "user", "content": str(i)}] for i in range(12)]
            calls = asyncio.gather(*(pool.chat_completion("m", each) for each in messages))
            for completed in (3, 6, 9, 12):
                await release_round(script, 3, completed)
            await calls
            return pool.stats()

    stats = asyncio.run(main())
    assert script.counts()["max_active"] == 3
    assert stats["connections_opened"] == 3
    assert stats["connections_reused"] == 9
    assert (stats["in_flight"], stats["waiting"]) == (0, 0)
    order = [body["messages"][0]["content"] for body in script.bodies()]
    waves = [set(order[i : i + 3]) for i in range(0, 12, 3)]
    assert waves == [{str(i), str(i + 1), str(i + 2)} for i in range(0, 12, 3)]


def test_one_place_serves_strictly_in_order(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=1) as pool:
            calls = [pool.request("POST", "/x", json=number) for number in range(300)]
            await asyncio.gather(*calls)
            assert pool.stats()["connections_opened"] == 1

    asyncio.run(main())
    assert script.bodies() == list(range(300))
    assert script.counts()["max_active"] == 1


def test_stats_show_what_is_in_flight_and_what_waits(gateway: ScriptedGateway) -> None:
    script = gateway.script("hold")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=4) as pool:
            calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(10)]
            await until(lambda: script.counts()["active"] == 4)
            assert (pool.stats()["in_flight"], pool.stats()["waiting"]) == (4, 6)
            for call in calls[4:]:
                call.cancel()
            await until(lambda: pool.stats()["waiting"] == 0)
            assert pool.stats()["in_flight"] == 4
            script.release()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [isinstance(outcome, dict) for outcome in outcomes] == [True] * 4 + [False] * 6

    asyncio.run(main())
    assert script.counts()["requests"] == 4


def test_idle_connections_are_kept_up_to_max_keepalive(own_gateway: ScriptedGateway) -> None:
    def kept() -> int:
        open_now: int = own_gateway.ask("connections")["open"]
        return open_now - 1  # that of the question itself

    async def main() -> None:
        url = own_gateway.script("delay=50").url
        async with HolySheepPool("k", url, max_connections=100, max_keepalive=5) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(100)))
            await until(lambda: kept() <= 5)
            await asyncio.sleep(0.3)
            assert kept() == 5

    asyncio.run(main())


def test_no_connection_is_kept_when_none_may_be(gateway: ScriptedGateway) -> None:
    async def main() -> int:
        async with HolySheepPool("k", gateway.script().url, max_keepalive=0) as pool:
            for _ in range(3):
                await pool.chat_completion("m", MESSAGES)
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) == 3


def test_an_idle_connection_expires(gateway: ScriptedGateway) -> None:
    async def main() -> int:
        async with HolySheepPool("k", gateway.script().url, keepalive_expiry=0.2) as pool:
            await pool.chat_completion("m", MESSAGES)
            await asyncio.sleep(0.6)
            await pool.chat_completion("m", MESSAGES)
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) == 2


def test_a_servers_keep_alive_header_is_heeded(gateway: ScriptedGateway) -> None:
    async def main() -> int:
        async with HolySheepPool("k", gateway.script("keepalive_header=1").url) as pool:
            await pool.chat_completion("m", MESSAGES)
            await pool.chat_completion("m", MESSAGES)
            await asyncio.sleep(1.3)
            await pool.chat_completion("m", MESSAGES)
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) == 2


def test_a_tls_connection_is_kept(gateway: ScriptedGateway, certificates: Certificates) -> None:
    async def main() -> None:
        url = gateway.script("", "good").url
        async with HolySheepPool("k", url, ca_file=certificates.ca_file) as pool:
            for _ in range(10):
                await pool.chat_completion("m", MESSAGES)
            stats = pool.stats()
            assert (stats["connections_opened"], stats["connections_reused"]) == (1, 9)

    asyncio.run(main())


def test_a_new_tls_connection_resumes_the_session(nginx: Nginx, certificates: Certificates) -> None:
    async def main() -> None:
        url = f"https://127.0.0.1:{nginx.tls_port}"
        ca_file = certificates.ca_file
        async with HolySheepPool("k", url, max_keepalive=0, ca_file=ca_file) as pool:
            await pool.request("GET", "/?n=first")
            await asyncio.gather(*(pool.request("GET", "/?n=later") for _ in range(5)))

    asyncio.run(main())
    assert nginx.seen() == [["first", "200", "."]] + [["later", "200", "r"]] * 5


def test_nginx_ends_connections_under_load_and_every_call_is_answered_once(nginx: Nginx) -> None:
    numbers = [str(number) for number in range(2000)]

    async def main() -> int:
        url = f"http://127.0.0.1:{nginx.port}"
        async with HolySheepPool("k", url, max_connections=40) as pool:
            calls = (pool.request("POST", f"/?n={n}", json=[n]) for n in numbers)
            assert await asyncio.gather(*calls) == [{"seen": number} for number in numbers]
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) >= 2000 // 7
    assert sorted(line[0] for line in nginx.seen()) == sorted(numbers)


def test_nginx_reloads_under_load_and_no_call_arrives_twice(nginx: Nginx) -> None:
    url = f"http://127.0.0.1:{nginx.port}"
    outcomes: list[object] = []

    async def worker(pool: HolySheepPool, numbers: list[int]) -> None:
        for number in numbers:
            try:
                outcomes.append(await pool.request("POST", f"/?n={number}", json=MESSAGES))
            except Exception as error:
                outcomes.append(error)

    async def main() -> None:
        async with HolySheepPool("k", url, max_connections=20) as pool:
            workers = [worker(pool, list(range(i * 100, i * 100 + 100))) for i in range(20)]
            running = asyncio.gather(*workers)
            for _ in range(5):
                nginx.reload()
                await asyncio.sleep(0.05)
            await running
            assert await pool.request("GET", "/?n=last") == {"seen": "last"}

    asyncio.run(main())
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all(getattr(error, "sent", "") == "possibly sent" for error in failed), failed
    seen = [line[0] for line in nginx.seen()]
    assert len(seen) == len(set(seen))
    assert len(seen) >= 2001 - len(failed)


def test_a_gateway_that_goes_away_and_comes_back(
    own_gateway: ScriptedGateway, gateway_binary: Path, certificates: Certificates
) -> None:
    script = own_gateway.script()

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=5) as pool:

            async def some() -> list[str]:
                calls = (pool.chat_completion("m", MESSAGES) for _ in range(10))
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                return sorted({type(outcome).__name__ for outcome in outcomes})

            assert await some() == ["dict"]
            own_gateway.stop()
            assert await some() == ["ConnectError"]
            second = ScriptedGateway(gateway_binary, certificates, own_gateway.address())
            assert await some() == ["dict"]
            second.stop()

    asyncio.run(main())
