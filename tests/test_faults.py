"""Whatever breaks: each call ends once, with a typed error, is never sent twice, and the
pool works on afterwards."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

import holysheep
from holysheep import HolySheepPool
from support import (
    MESSAGES,
    Certificates,
    ScriptedGateway,
    ask,
    free_port,
    is_idle,
    sent,
    until,
    wait_until,
)


@pytest.mark.parametrize(
    ("words", "kind", "came"),
    [
        ("close=before", "RemoteProtocolError", "possibly sent"),
        ("close=head", "RemoteProtocolError", "possibly sent"),
        ("close=body", "RemoteProtocolError", "answered"),
        ("close=rst", "ReadError", "possibly sent"),
        ("truncate=10", "RemoteProtocolError", "answered"),
        ("garbage", "RemoteProtocolError", "possibly sent"),
        ("badchunk", "RemoteProtocolError", "answered"),
        ("badgzip", "DecodingError", "answered"),
        ("endless_interim", "RemoteProtocolError", "possibly sent"),
        ("head_size=600000", "RemoteProtocolError", "possibly sent"),
        ("size=9000000", "ReplyTooLarge", "answered"),
        ("size=9000000,chunked", "ReplyTooLarge", "answered"),
        ("size=9000000,no_length", "ReplyTooLarge", "answered"),
        ("bomb=128", "ReplyTooLarge", "answered"),
        ("empty", "JSONDecodeError", ""),
        ("body=nonsense", "JSONDecodeError", ""),
        ("body=%ff%fe", "JSONDecodeError", ""),
        ("size=500,close=body,chunked", "RemoteProtocolError", "answered"),
        ("gzip,close=body", "RemoteProtocolError", "answered"),
    ],
)
@pytest.mark.parametrize("listener", ["http", "good"])
def test_a_server_that_lies(
    gateway: ScriptedGateway,
    certificates: Certificates,
    words: str,
    kind: str,
    came: str,
    listener: str,
) -> None:
    script = gateway.script(words, listener)
    error = ask(script.url, max_reply_bytes=8 << 20, ca_file=certificates.ca_file)
    assert type(error).__name__ == kind, repr(error)
    assert sent(error) == came
    assert script.counts()["requests"] == 1
    if hasattr(httpx, kind):
        assert isinstance(error, getattr(httpx, kind))


@pytest.mark.parametrize("words", ["close=before", "close=rst", "garbage", "truncate=5", "bomb=16"])
def test_a_fault_hurts_no_other_call(gateway: ScriptedGateway, words: str) -> None:
    script = gateway.script(f"{words},nth=20,delay=5")

    async def main() -> None:
        async with HolySheepPool(
            "k", script.url, max_connections=5, max_reply_bytes=1 << 20
        ) as pool:
            calls = (pool.chat_completion("m", MESSAGES) for _ in range(60))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            assert len(failed) == 1, failed
            assert isinstance(failed[0], holysheep.HolySheepError)
            assert is_idle(pool)

    asyncio.run(main())
    assert script.counts()["requests"] == 60


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 404, 407, 429, 500, 503, 599])
def test_a_status_of_300_and_up(gateway: ScriptedGateway, status: int) -> None:
    script = gateway.script(f"status={status},redirect,header=Retry-After:7")
    error = ask(script.url)
    assert isinstance(error, httpx.HTTPStatusError)
    assert isinstance(error, holysheep.HTTPStatusError)
    assert error.response.status_code == status
    assert error.response.headers["retry-after"] == "7"
    assert error.request.method == "POST"
    assert sent(error) == "answered"
    if status != 304:
        assert error.response.json() == json.loads(error.response.text)
    assert script.counts()["requests"] == 1


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_a_status_below_300(gateway: ScriptedGateway, status: int) -> None:
    assert ask(gateway.script(f"status={status}").url)["id"] == "chatcmpl-1"


def test_a_kept_connection_that_dies_is_never_sent_on_twice(gateway: ScriptedGateway) -> None:
    script = gateway.script("reuse_close")

    async def main() -> list[Any]:
        async with HolySheepPool("k", script.url) as pool:
            outcomes: list[Any] = []
            for _ in range(6):
                try:
                    outcomes.append(await pool.chat_completion("m", MESSAGES))
                except holysheep.RemoteProtocolError as error:
                    outcomes.append(sent(error))
            return outcomes

    outcomes = asyncio.run(main())
    assert script.counts()["requests"] == 6
    assert [outcome == "possibly sent" for outcome in outcomes] == [False, True] * 3


@pytest.mark.parametrize("listener", ["http", "good"])
def test_a_connection_closed_while_idle_is_not_used(
    gateway: ScriptedGateway, certificates: Certificates, listener: str
) -> None:
    script = gateway.script("close=after", listener)

    async def main() -> None:
        async with HolySheepPool("k", script.url, ca_file=certificates.ca_file) as pool:
            for _ in range(8):
                await pool.chat_completion("m", MESSAGES)
                await asyncio.sleep(0.05)

    asyncio.run(main())
    wait_until(lambda: script.counts()["active"] == 0)
    counts = script.counts()
    assert (counts["requests"], counts["completed"]) == (8, 8)


@pytest.mark.parametrize("listener", ["http", "good"])
@pytest.mark.parametrize("pause", [0, 10])
def test_a_reply_that_nobody_asked_for_is_never_returned(
    gateway: ScriptedGateway, certificates: Certificates, pause: int, listener: str
) -> None:
    script = gateway.script(f"extra={pause}", listener)

    async def main() -> None:
        async with HolySheepPool("k", script.url, ca_file=certificates.ca_file) as pool:
            for _ in range(20):
                reply = await pool.chat_completion("m", MESSAGES)
                assert "stolen" not in reply
                wait_until(lambda: script.counts()["active"] == 0)  # both replies are written

    asyncio.run(main())


def test_refused() -> None:
    error = ask(f"http://127.0.0.1:{free_port()}/v1")
    assert isinstance(error, httpx.ConnectError)
    assert sent(error) == "not sent"


def test_a_host_that_does_not_exist() -> None:
    error = ask("http://nowhere.invalid/v1")
    assert isinstance(error, httpx.ConnectError)
    assert sent(error) == "not sent"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("expired", "has expired"),
        ("wrong_name", "is for another host name"),
        ("unknown_authority", "comes from an unknown authority"),
    ],
)
def test_a_bad_certificate(
    gateway: ScriptedGateway, certificates: Certificates, name: str, words: str
) -> None:
    script = gateway.script("", name)
    error = ask(script.url, ca_file=certificates.ca_file)
    assert isinstance(error, httpx.ConnectError)
    assert str(error) == f"the server's certificate {words}"
    assert sent(error) == "not sent"
    assert script.counts()["requests"] == 0


def test_tls_to_a_server_without_it(gateway: ScriptedGateway) -> None:
    error = ask(f"https://{gateway.address()}/v1")
    assert isinstance(error, httpx.ConnectError)
    assert sent(error) == "not sent"


def test_no_tls_to_a_server_with_it(gateway: ScriptedGateway) -> None:
    error = ask(f"http://{gateway.address('good')}/v1")
    assert isinstance(error, httpx.TransportError)
    assert sent(error) == "possibly sent"


def test_a_proxy_that_refuses(gateway: ScriptedGateway) -> None:
    error = ask("https://refused.invalid/v1", proxy=f"http://{gateway.address()}")
    assert isinstance(error, httpx.ProxyError)
    assert sent(error) == "not sent"


def test_a_proxy_that_is_not_there() -> None:
    error = ask("https://somewhere.test/v1", proxy=f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, (httpx.ConnectError, httpx.ProxyError))
    assert sent(error) == "not sent"


def test_close_ends_every_call(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")

    async def main() -> None:
        pool = HolySheepPool("k", script.url, max_connections=5)
        calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(20)]
        await until(lambda: script.counts()["active"] == 5)
        await pool.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["PoolClosed"] * 20
        came = [sent(outcome) for outcome in outcomes]
        assert came == ["possibly sent"] * 5 + ["not sent"] * 15
        with pytest.raises(RuntimeError, match="closed"):
            await pool.chat_completion("m", MESSAGES)
        await pool.close()

    asyncio.run(main())
    assert script.counts()["requests"] == 5
