"""Whatever breaks: each call ends once, with a typed error, is never sent twice, and the
pool works on afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import time
from typing import Any, Callable

import httpx
import pytest
from conftest import Certificates, ScriptedGateway

import holysheep
from holysheep import HolySheepPool

MESSAGES = [{"role": "user", "content": "Hello"}]
Ids = Callable[[], str]


def ask(url: str, **options: Any) -> Any:
    """One call of a fresh pool; its reply, or its error."""

    async def main() -> Any:
        async with HolySheepPool("k-secret", url, **options) as pool:
            try:
                return await pool.chat_completion("m", MESSAGES)
            except Exception as error:
                stats = pool.stats()
                assert (stats["in_flight"], stats["waiting"]) == (0, 0)
                return error

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("script", "kind", "sent"),
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
        ("bomb=128", "ReplyTooLarge", "answered"),
        ("empty", "JSONDecodeError", None),
        ("body=nonsense", "JSONDecodeError", None),
    ],
)
def test_a_server_that_lies(
    gateway: ScriptedGateway, script_id: Ids, script: str, kind: str, sent: object
) -> None:
    number = script_id()
    error = ask(gateway.url(f"id={number},{script}"), max_reply_bytes=8 << 20)
    assert type(error).__name__ == kind, repr(error)
    assert getattr(error, "sent", None) == sent
    assert gateway.ask("counts", number)["requests"] == 1
    assert "secret" not in str(error) + repr(error)
    if hasattr(httpx, kind):
        assert isinstance(error, getattr(httpx, kind))


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
def test_a_status_of_300_and_up(gateway: ScriptedGateway, script_id: Ids, status: int) -> None:
    number = script_id()
    url = gateway.url(f"id={number},status={status},redirect,header=Retry-After:7")
    error = ask(url)
    assert isinstance(error, httpx.HTTPStatusError)
    assert isinstance(error, holysheep.HTTPStatusError)
    assert error.response.status_code == status
    assert error.response.headers["retry-after"] == "7"
    assert error.response.json() == json.loads(error.response.text)
    assert error.request.method == "POST"
    assert error.sent == "answered"
    assert gateway.ask("counts", number)["requests"] == 1


def test_a_kept_connection_that_dies_is_never_sent_on_twice(
    gateway: ScriptedGateway, script_id: Ids
) -> None:
    number = script_id()

    async def main() -> list[Any]:
        async with HolySheepPool("k", gateway.url(f"id={number},reuse_close")) as pool:
            outcomes = []
            for _ in range(6):
                try:
                    outcomes.append(await pool.chat_completion("m", MESSAGES))
                except holysheep.RemoteProtocolError as error:
                    outcomes.append(error.sent)
            return outcomes

    outcomes = asyncio.run(main())
    assert gateway.ask("counts", number)["requests"] == 6
    assert [outcome == "possibly sent" for outcome in outcomes] == [False, True] * 3


def test_a_connection_closed_while_idle_is_not_used(
    gateway: ScriptedGateway, script_id: Ids
) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number},close=after")) as pool:
            for pause in (0, 0, 0.05, 0, 0.1):
                await pool.chat_completion("m", MESSAGES)
                await asyncio.sleep(pause)

    asyncio.run(main())
    assert gateway.ask("counts", number) == {
        "requests": 5, "completed": 5, "aborted": 0, "active": 0, "max_active": 1,
    }  # fmt: skip


@pytest.mark.parametrize("pause", [0, 10])
def test_a_reply_that_nobody_asked_for_is_never_returned(
    gateway: ScriptedGateway, script_id: Ids, pause: int
) -> None:
    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={script_id()},extra={pause}")) as pool:
            for _ in range(10):
                reply = await pool.chat_completion("m", MESSAGES)
                assert "stolen" not in reply
                await asyncio.sleep(0.02)

    asyncio.run(main())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_refused() -> None:
    error = ask(f"http://127.0.0.1:{free_port()}/v1")
    assert isinstance(error, httpx.ConnectError)
    assert error.sent == "not sent"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("expired", "expired"),
        ("wrong_name", "another host name"),
        ("unknown_authority", "unknown authority"),
    ],
)
def test_a_bad_certificate(
    gateway: ScriptedGateway, certificates: Certificates, script_id: Ids, name: str, words: str
) -> None:
    error = ask(gateway.url(f"id={script_id()}", name), ca_file=certificates.ca_file)
    assert isinstance(error, httpx.ConnectError)
    assert words in str(error)
    assert error.sent == "not sent"


def test_a_proxy_that_refuses(gateway: ScriptedGateway) -> None:
    error = ask("https://refused.test/v1", proxy=f"http://{gateway.address()}")
    assert isinstance(error, httpx.ProxyError)
    assert error.sent == "not sent"


def timed(url: str, **options: Any) -> tuple[Any, float]:
    started = time.monotonic()
    return ask(url, **options), time.monotonic() - started


def test_read_timeout(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()
    error, seconds = timed(gateway.url(f"id={number},delay=20000"), timeout=0.3)
    assert isinstance(error, httpx.ReadTimeout)
    assert error.sent == "possibly sent"
    assert 0.3 <= seconds < 10
    assert gateway.ask("counts", number)["requests"] == 1


def test_a_dripping_reply_is_no_read_timeout(gateway: ScriptedGateway, script_id: Ids) -> None:
    for part in ("drip=10", "drip_head=10"):
        assert "id" in ask(gateway.url(f"id={script_id()},{part}"), timeout=0.5)


def test_total_timeout_ends_a_dripping_reply(gateway: ScriptedGateway, script_id: Ids) -> None:
    error, seconds = timed(gateway.url(f"id={script_id()},drip=50"), total_timeout=0.4)
    assert isinstance(error, holysheep.TotalTimeout)
    assert isinstance(error, httpx.TimeoutException)
    assert 0.4 <= seconds < 8


def test_write_timeout(gateway: ScriptedGateway, script_id: Ids) -> None:
    async def main() -> Any:
        url = gateway.url(f"id={script_id()},noread=5000")
        async with HolySheepPool("k", url, timeout=0.4) as pool:
            with pytest.raises(holysheep.WriteTimeout) as caught:
                await pool.request("POST", "/x", json="x" * 20_000_000)
            return caught.value

    error = asyncio.run(main())
    assert isinstance(error, httpx.WriteTimeout)
    assert error.sent == "possibly sent"


def test_connect_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        error = ask(f"https://127.0.0.1:{port}/v1", timeout=0.3)
    assert isinstance(error, httpx.ConnectTimeout)
    assert error.sent == "not sent"


def test_pool_timeout_and_the_place_comes_back(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> None:
        url = gateway.url(f"id={number},delay=600")
        async with HolySheepPool("k", url, max_connections=1, pool_timeout=0.2) as pool:
            first = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await asyncio.sleep(0.05)
            with pytest.raises(httpx.PoolTimeout) as caught:
                await pool.chat_completion("m", MESSAGES)
            assert getattr(caught.value, "sent", "") == "not sent"
            assert await first

    asyncio.run(main())
    assert gateway.ask("counts", number)["requests"] == 1


def test_cancel_stops_the_transfer_and_frees_the_place(
    gateway: ScriptedGateway, script_id: Ids
) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number},delay=30000"), max_connections=10) as pool:
            for _ in range(5):
                calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(100)]
                await asyncio.sleep(0.05)
                for call in calls:
                    call.cancel()
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(o, asyncio.CancelledError) for o in outcomes)
            for _ in range(200):
                if gateway.ask("counts", number)["active"] == 0 and not pool.stats()["in_flight"]:
                    break
                await asyncio.sleep(0.02)
            stats = pool.stats()
            assert (stats["in_flight"], stats["waiting"]) == (0, 0)
            assert stats["errors"]["cancelled"] == 500

    asyncio.run(main())
    assert gateway.ask("counts", number)["active"] == 0


def test_close_ends_every_call(gateway: ScriptedGateway, script_id: Ids) -> None:
    async def main() -> None:
        pool = HolySheepPool("k", gateway.url(f"id={script_id()},delay=30000"), max_connections=5)
        calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(20)]
        await asyncio.sleep(0.1)
        await pool.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["PoolClosed"] * 20
        with pytest.raises(RuntimeError, match="closed"):
            await pool.chat_completion("m", MESSAGES)
        await pool.close()

    asyncio.run(main())


def test_a_fork_leaves_both_sides_working(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()
    pool = HolySheepPool("k", gateway.url(f"id={number},echo"))

    async def some(name: str) -> None:
        for i in range(20):
            word = f"{name}{i}"
            assert await pool.request("POST", "/e", json=[word]) == [word]

    asyncio.run(some("before"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(some("child"))
            status = 0
        finally:
            os._exit(status)
    asyncio.run(some("parent"))
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(pool.close())
    assert gateway.ask("counts", number)["completed"] == 60


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"api_key": "a\nb"}, "api_key"),
        ({"api_key": "kéy"}, "api_key"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://user:pw@x/v1"}, "base_url"),
        ({"base_url": 3}, "base_url"),
        ({"max_connections": 0}, "max_connections"),
        ({"max_connections": 2.5}, "max_connections"),
        ({"max_keepalive": -1}, "max_keepalive"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"pool_timeout": -1}, "timeout.pool"),
        ({"headers": {"X": "a\r\nb"}}, "headers"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"ca_file": "/nowhere"}, "ca_file"),
        ({"key_file": "/nowhere"}, "key_file"),
        ({"proxy": "socks5://x"}, "proxy"),
        ({"max_reply_bytes": 0}, "max_reply_bytes"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{name}") as caught:
        HolySheepPool(**{"api_key": "k", **options})
    assert "a\nb" not in str(caught.value)


def test_bad_calls_send_nothing(gateway: ScriptedGateway, script_id: Ids) -> None:
    number = script_id()

    async def main() -> None:
        async with HolySheepPool("k", gateway.url(f"id={number}")) as pool:
            with pytest.raises(TypeError):
                await pool.chat_completion("m", [{"role": object()}])
            with pytest.raises(ValueError):
                await pool.chat_completion("m", MESSAGES, temperature=float("nan"))
            with pytest.raises(ValueError, match="stream"):
                await pool.chat_completion("m", MESSAGES, stream=True)
            with pytest.raises(ValueError, match="path"):
                await pool.request("GET", "models")
            with pytest.raises(ValueError, match="method"):
                await pool.request("GET /", "/models")
            with pytest.raises(ValueError, match="headers"):
                await pool.request("GET", "/models", headers={"A": "x\n"})
            circular: list[Any] = []
            circular.append(circular)
            with pytest.raises((ValueError, RecursionError)):
                await pool.request("POST", "/x", json=circular)
            assert pool.stats()["submitted"] == 0

    asyncio.run(main())
    assert gateway.ask("counts", number)["requests"] == 0


def test_errors_can_be_pickled(gateway: ScriptedGateway, script_id: Ids) -> None:
    error = ask(gateway.url(f"id={script_id()},status=429"))
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(copy, httpx.HTTPStatusError)
    assert isinstance(copy, holysheep.HTTPStatusError)
    assert (str(copy), copy.sent, copy.response.status_code) == (str(error), "answered", 429)
