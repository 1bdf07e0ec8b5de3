"""What calls do when all is well."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading

import pytest

from holysheep import ConnectError, HolySheepPool, Timeout
from support import MESSAGES, Certificates, ScriptedGateway, accepts


def test_the_request_on_the_wire(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> dict[str, object]:
        async with HolySheepPool("secret", script.url) as pool:
            return await pool.chat_completion("gpt-4.1", MESSAGES, 0, 17, seed=3)

    reply = asyncio.run(main())
    assert reply["id"] == "chatcmpl-1"
    (request,) = script.requests()
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


def test_request_reaches_other_paths(gateway: ScriptedGateway) -> None:
    script = gateway.script("echo")

    async def main() -> None:
        async with HolySheepPool("k", script.url, headers={"X-A": "1"}) as pool:
            assert await pool.request("POST", "/embeddings", json={"input": "x"}) == {"input": "x"}
            assert await pool.request("POST", "/e", json=[], headers={"x-a": "2", "X-B": ""}) == []
            assert await pool.request("POST", "/q?a=1&b=%20", json=0) == 0

    asyncio.run(main())
    first, second, third = script.requests()
    assert first["headers"]["X-A"] == ["1"]
    assert second["headers"]["X-A"] == ["2"]
    assert second["headers"]["X-B"] == [""]
    assert third["path"].endswith("/v1/q?a=1&b=%20")


def test_only_requests_with_a_body_have_one(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool("k", script.url) as pool:
            await pool.chat_completion("m", MESSAGES)
            await pool.request("GET", "/models")
            await pool.request("DELETE", "/files/1")
            await pool.chat_completion("m", MESSAGES)
            await pool.request("DELETE", "/files/1", json={"why": 1})

    asyncio.run(main())
    requests = script.requests()
    assert [r["method"] for r in requests] == ["POST", "GET", "DELETE", "POST", "DELETE"]
    assert [bool(r["body"]) for r in requests] == [True, False, False, True, True]
    assert "Content-Type" not in requests[1]["headers"]


def test_head_brings_no_body_and_leaves_the_connection_usable(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> int:
        async with HolySheepPool("k", script.url) as pool:
            for _ in range(3):
                assert await pool.request("HEAD", "/models") is None
                assert await pool.request("GET", "/models")
            return pool.stats()["connections_opened"]

    assert asyncio.run(main()) == 1
    assert [r["method"] for r in script.requests()] == ["HEAD", "GET"] * 3


def test_an_empty_reply_to_request_is_none(gateway: ScriptedGateway) -> None:
    script = gateway.script("status=204,empty")

    async def main() -> object:
        async with HolySheepPool("k", script.url) as pool:
            return await pool.request("DELETE", "/files/1")

    assert asyncio.run(main()) is None


def test_no_key_sends_no_authorization(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool(None, script.url) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    assert "Authorization" not in script.requests()[0]["headers"]


@pytest.mark.parametrize(
    "how",
    [
        "gzip",
        "deflate",
        "chunked",
        "gzip,chunked",
        "no_length",
        "interim=3",
        "drip_head=1",
        "drip=1",
        "size=300000",
        "head_size=60000",
    ],
)
def test_every_way_to_put_a_reply(gateway: ScriptedGateway, how: str) -> None:
    async def main() -> None:
        async with HolySheepPool("k", gateway.script(how).url) as pool:
            for _ in range(2):
                assert await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())


def test_large_bodies(gateway: ScriptedGateway) -> None:
    text = "x" * 3_000_000
    script = gateway.script("echo")

    async def main() -> object:
        async with HolySheepPool("k", script.url) as pool:
            return await pool.request("POST", "/echo", json={"text": text})

    assert asyncio.run(main()) == {"text": text}
    assert "Expect" not in script.requests()[0]["headers"]


def test_replies_are_not_mixed_up(gateway: ScriptedGateway) -> None:
    script = gateway.script("echo,delay=2")

    async def main() -> None:
        async with HolySheepPool("k", script.url, max_connections=30) as pool:

            async def one(number: int) -> None:
                assert await pool.request("POST", "/e", json=[number]) == [number]

            await asyncio.gather(*(one(number) for number in range(2000)))

    asyncio.run(main())
    assert script.counts()["completed"] == 2000


def test_tls(gateway: ScriptedGateway, certificates: Certificates) -> None:
    async def main() -> None:
        url = gateway.script("", "good").url
        async with HolySheepPool("k", url, ca_file=certificates.ca_file) as pool:
            await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(10)))
        bad = gateway.script("", "expired").url
        async with HolySheepPool("k", bad, verify=False) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())


async def reaches(host: str, port: int) -> bool:
    async with HolySheepPool("k", f"http://{host}:{port}/v1", timeout=5) as pool:
        try:
            await pool.chat_completion("m", MESSAGES)
        except ConnectError:
            return False
        return True


def test_host_names_are_resolved(gateway: ScriptedGateway) -> None:
    port = int(gateway.address().rsplit(":", 1)[1])
    assert asyncio.run(reaches("localhost", port))
    assert not asyncio.run(reaches("nowhere.invalid", port))
    name = socket.gethostname()
    assert asyncio.run(reaches(name, port)) == accepts(name, port)


def test_ipv6_works_where_the_machine_has_it(gateway: ScriptedGateway) -> None:
    has_ipv6 = "http6" in gateway.addresses
    address = gateway.address("http6" if has_ipv6 else "http")
    port = int(address.rsplit(":", 1)[1])
    assert asyncio.run(reaches("[::1]", port)) == has_ipv6


def test_a_timeout_object(gateway: ScriptedGateway) -> None:
    async def main() -> None:
        timeout = Timeout(connect=5, read=None, write=5, pool=5, total=5)
        async with HolySheepPool("k", gateway.script().url, timeout=timeout) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())


def test_stats_count_what_happened(gateway: ScriptedGateway) -> None:
    script, failing = gateway.script("size=1000"), gateway.script("close=before")

    async def main() -> None:
        async with HolySheepPool("k", script.url) as pool:
            for _ in range(4):
                await pool.chat_completion("m", MESSAGES)
            stats = pool.stats()
            assert (stats["submitted"], stats["answered"]) == (4, 4)
            assert (stats["connections_opened"], stats["connections_reused"]) == (1, 3)
            assert stats["bytes_received"] > 4000
            assert stats["bytes_sent"] > 4 * len(script.requests()[0]["body"])
            assert not any(stats["errors"].values())
        async with HolySheepPool("k", failing.url) as pool:
            await asyncio.gather(pool.chat_completion("m", MESSAGES), return_exceptions=True)
            stats = pool.stats()
            assert (stats["submitted"], stats["answered"]) == (1, 0)
            assert stats["errors"]["protocol"] == 1

    asyncio.run(main())


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
