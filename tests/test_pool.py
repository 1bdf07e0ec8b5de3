"""What a pool does when all is well."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from typing import Callable

import pytest
import uvloop
from conftest import Certificates, ScriptedGateway

from holysheep import ConnectError, HolySheepPool, Timeout

MESSAGES = [{"role": "user", "content": "Hello 你好"}]
Ids = Callable[[], str]


def test_the_request_on_the_wire(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> dict[str, object]:
        async with HolySheepPool("secret", gateway.url(f"id={number}")) as pool:
            return await pool.chat_completion("gpt-4.1", MESSAGES, 0, 17, seed=3)

    reply = asyncio.run(main())
    assert reply["id"] == "chatcmpl-1"
    (request,) = gateway.ask("requests", number)
    assert request["method"] == "POST"
    assert request["path"].endswith("/v1/chat/completions")
    assert request["headers"]["Authorization"] == ["Bearer secret"]
    assert request["headers"]["Content-Type"] == ["application/json"]
    assert json.loads(request["body"]) == {
        "model": "gpt-4.1",
        "messages": MESSAGES,
        "temperature": 0,
        "max_tokens": 17,
        "seed": 3,
    }


def test_request_reaches_other_paths(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number},echo"), headers={"X-A": "1"}) as pool:
            assert await pool.request("POST", "/embeddings", json={"input": "x"}) == {"input": "x"}
            assert await pool.request("POST", "/e", json=[], headers={"x-a": "2", "X-B": ""}) == []

    asyncio.run(main())
    first, second = gateway.ask("requests", number)
    assert first["headers"]["X-A"] == ["1"]
    assert second["headers"]["X-A"] == ["2"]
    assert second["headers"]["X-B"] == [""]


def test_get_has_no_body(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number}")) as pool:
            await pool.chat_completion("m", MESSAGES)
            await pool.request("GET", "/models")
            await pool.request("DELETE", "/files/1")
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    requests = gateway.ask("requests", number)
    assert [request["method"] for request in requests] == ["POST", "GET", "DELETE", "POST"]
    assert [bool(request["body"]) for request in requests] == [True, False, False, True]
    assert "Content-Type" not in requests[1]["headers"]


def test_at_most_max_connections_in_flight_and_first_come_first_served(
    gateway: ScriptedGateway, script_id: Ids
) -> None:
    number = script_id()

    async def main() -> dict[str, int]:
        url = gateway.url(f"id={number},delay=20")
        async with HolySheepPool("k", url, max_connections=3) as pool:
            calls = [pool.chat_completion("m", [{"role": "user", "content": str(i)}]) for i in range(12)]
            await asyncio.gather(*calls)
            return dict(pool.stats(), errors={})

    stats = asyncio.run(main())
    assert gateway.ask("counts", number)["max_active"] == 3
    assert stats["connections_opened"] == 3
    assert stats["connections_reused"] == 9
    assert (stats["in_flight"], stats["waiting"]) == (0, 0)
    order = [json.loads(r["body"])["messages"][0]["content"] for r in gateway.ask("requests", number)]
    waves = [set(order[i : i + 3]) for i in range(0, 12, 3)]
    assert waves == [{str(i), str(i + 1), str(i + 2)} for i in range(0, 12, 3)]


def test_idle_connections_are_kept_up_to_max_keepalive(
    gateway: ScriptedGateway, script_id: Ids
) -> None:
    before = gateway.ask("connections")["open"]

    async def main() -> int:
        url = gateway.url(f"id={script_id()},delay=50")
        async with HolySheepPool("k", url, max_connections=100, max_keepalive=5) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(100)))
            for _ in range(100):
                await asyncio.sleep(0.05)
                left: int = gateway.ask("connections")["open"] - before
                if left <= 5:
                    break
            return left

    assert asyncio.run(main()) in (5, 4)


def test_an_idle_connection_expires(gateway: ScriptedGateway, script_id: Ids) -> None:
    async def main() -> int:
        url = gateway.url(f"id={script_id()}")
        async with HolySheepPool("k", url, keepalive_expiry=0.2) as pool:
            await pool.chat_completion("m", MESSAGES)
            await asyncio.sleep(0.6)
            await pool.chat_completion("m", MESSAGES)
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) == 2


def test_one_pool_many_loops_and_threads(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()
    pool = HolySheepPool("k", gateway.url(f"id={number}"))

    async def some() -> None:
        await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(20)))

    asyncio.run(some())
    asyncio.run(some())
    threads = [threading.Thread(target=lambda: asyncio.run(some())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(pool.close())
    assert gateway.ask("counts", number)["completed"] == 120


def test_uvloop(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number}")) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(50)))

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    assert gateway.ask("counts", number)["completed"] == 50


def test_tls(gateway: ScriptedGateway, certificates: Certificates, script_id: Ids) -> None:
    async def main() -> None:
        url = gateway.url(f"id={script_id()}", "good")
        async with HolySheepPool("k", url, ca_file=certificates.ca_file) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(10)))
        bad = gateway.url(f"id={script_id()}", "expired")
        async with HolySheepPool("k", bad, verify=False) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_host_names_are_resolved(gateway: ScriptedGateway) -> None:
    port = int(gateway.address().rsplit(":", 1)[1])

    async def reaches(host: str) -> bool:
        async with HolySheepPool("k", f"http://{host}:{port}/v1", timeout=5) as pool:
            try:
                await pool.chat_completion("m", MESSAGES)
            except ConnectError:
                return False
            return True

    assert asyncio.run(reaches("localhost"))
    assert not asyncio.run(reaches("nowhere.invalid"))
    name = socket.gethostname()
    assert asyncio.run(reaches(name)) == accepts(name, port)


def test_compressed_and_chunked_replies(gateway: ScriptedGateway, script_id: Ids) -> None:
    async def main() -> None:
        for how in ("gzip", "deflate", "chunked", "no_length", "interim=3", "drip_head=1", "size=300000"):
            async with HolySheepPool("k", gateway.url(f"id={script_id()},{how}")) as pool:
                assert await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())


def test_large_bodies(gateway: ScriptedGateway, script_id: Ids) -> None:
    text = "x" * 3_000_000

    async def main() -> object:
        async with HolySheepPool("k", gateway.url(f"id={script_id()},echo")) as pool:
            return await pool.request("POST", "/echo", json={"text": text})

    assert asyncio.run(main()) == {"text": text}


def test_through_a_proxy(
    gateway: ScriptedGateway,
    certificates: Certificates,
    script_id: Ids,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{gateway.address()}")
    before = gateway.ask("counts", "proxy")["requests"]

    async def main() -> None:
        url = gateway.url(f"id={script_id()}", "good")
        async with HolySheepPool("k", url, ca_file=certificates.ca_file) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    assert gateway.ask("counts", "proxy")["requests"] == before + 1


def test_construction_opens_nothing_and_needs_no_loop() -> None:
    before = threading.active_count()
    pool = HolySheepPool("k", "http://127.0.0.1:1/v1")
    assert threading.active_count() == before
    assert pool.stats()["connections_opened"] == 0
    asyncio.run(pool.close())


def test_import_pulls_in_nothing_heavy() -> None:
    code = (
        "import sys, holysheep; loaded = {'httpx', 'aiohttp', 'asyncio', 'ssl'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_exit_with_calls_in_flight(gateway: ScriptedGateway, script_id: Ids) -> None:
    url = gateway.url(f"id={script_id()},delay=60000", "expired")
    code = f"""
import asyncio
from holysheep import HolySheepPool
pool = HolySheepPool("k", {url!r}, verify=False)
async def main():
    for _ in range(20):
        asyncio.ensure_future(pool.chat_completion("m", []))
    await asyncio.sleep(0.3)
asyncio.run(main())
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 20


def test_a_timeout_object(gateway: ScriptedGateway, script_id: Ids) -> None:
    async def main() -> None:
        timeout = Timeout(connect=5, read=None, write=5, pool=5, total=5)
        async with HolySheepPool("k", gateway.url(f"id={script_id()}"), timeout=timeout) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
