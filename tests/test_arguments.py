"""What is wrong is refused before anything is sent, by the argument's name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from holysheep import HolySheepPool
from support import MESSAGES, ScriptedGateway


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"api_key": "a\0b"}, "api_key"),
        ({"api_key": "kéy"}, "api_key"),
        ({"api_key": b"k"}, "api_key"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "example.com/v1"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://user:pw@x/v1"}, "base_url"),
        ({"base_url": "http://x:0/v1"}, "base_url"),
        ({"base_url": "http://x:65536/v1"}, "base_url"),
        ({"base_url": "http://[::1/v1"}, "base_url"),
        ({"base_url": "http://x/v1?a=b"}, "base_url"),
        ({"base_url": "http://x/a b"}, "base_url"),
        ({"base_url": "http://x/\r\nX: y"}, "base_url"),
        ({"base_url": "http://x/é"}, "base_url"),
        ({"base_url": 3}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"max_connections": 0}, "max_connections"),
        ({"max_connections": -1}, "max_connections"),
        ({"max_connections": 100_001}, "max_connections"),
        ({"max_connections": 2.5}, "max_connections"),
        ({"max_connections": True}, "max_connections"),
        ({"max_keepalive": -1}, "max_keepalive"),
        ({"max_keepalive": "1"}, "max_keepalive"),
        ({"timeout": "1"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"pool_timeout": -1}, "timeout.pool"),
        ({"pool_timeout": "1"}, "timeout.pool"),
        ({"total_timeout": float("nan")}, "timeout.total"),
        ({"keepalive_expiry": -1}, "keepalive_expiry"),
        ({"keepalive_expiry": float("nan")}, "keepalive_expiry"),
        ({"headers": {"X": "a\r\nb"}}, "headers"),
        ({"headers": {"X": "a\0b"}}, "headers"),
        ({"headers": {"X Y": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"X": 1}}, "headers"),
        ({"headers": "ab"}, "headers"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"content-length": "1"}}, "headers"),
        ({"ca_file": "/nowhere"}, "ca_file"),
        ({"ca_file": 1}, "ca_file"),
        ({"cert_file": "/nowhere"}, "cert_file"),
        ({"key_file": "/nowhere"}, "key_file"),
        ({"proxy": "socks5://x"}, "proxy"),
        ({"proxy": "http://x:port"}, "proxy"),
        ({"proxy": 1}, "proxy"),
        ({"max_reply_bytes": 0}, "max_reply_bytes"),
        ({"max_reply_bytes": 1.5}, "max_reply_bytes"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{name}"):
        HolySheepPool(**{"api_key": "k", **options})


@pytest.mark.parametrize("unknown", ["retries", "http2", "limits"])
def test_an_unknown_keyword_is_refused(unknown: str) -> None:
    options: dict[str, Any] = {unknown: 1}
    with pytest.raises(TypeError, match=unknown):
        HolySheepPool("k", **options)


def test_files_may_be_given_as_paths(gateway: ScriptedGateway, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^ca_file"):
        HolySheepPool("k", ca_file=tmp_path / "missing.pem")


class Unencodable:
    pass


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


BAD_CALLS: list[tuple[type[BaseException], str, Any]] = [
    (
        TypeError,
        "^messages: .*Unencodable",
        lambda pool: pool.chat_completion("m", [Unencodable()]),
    ),
    (TypeError, "^stop: .*set", lambda pool: pool.chat_completion("m", MESSAGES, stop={1})),
    (TypeError, "^messages: keys must be", lambda pool: pool.chat_completion("m", [{(1, 2): 3}])),
    (ValueError, "^temperature: ", lambda pool: pool.chat_completion("m", MESSAGES, float("nan"))),
    (ValueError, "^temperature: ", lambda pool: pool.chat_completion("m", MESSAGES, float("inf"))),
    (
        ValueError,
        "^json: nested too deeply",
        lambda pool: pool.request("POST", "/x", json=nested(100_000)),
    ),
    (ValueError, "^model: .*surrogate", lambda pool: pool.chat_completion("\ud800", MESSAGES)),
    (ValueError, "stream", lambda pool: pool.chat_completion("m", MESSAGES, stream=True)),
    (TypeError, "^method", lambda pool: pool.request(1, "/models")),
    (ValueError, "^method", lambda pool: pool.request("GET /", "/models")),
    (ValueError, "^method", lambda pool: pool.request("", "/models")),
    (ValueError, "^path", lambda pool: pool.request("GET", "models")),
    (ValueError, "^path", lambda pool: pool.request("GET", "")),
    (ValueError, "^path", lambda pool: pool.request("GET", "/a b")),
    (ValueError, "^path", lambda pool: pool.request("GET", "/a\r\nX: y")),
    (ValueError, "^path", lambda pool: pool.request("GET", "/a\0b")),
    (ValueError, "^path", lambda pool: pool.request("GET", "/é")),
    (ValueError, "^path", lambda pool: pool.request("GET", "/" + "a" * 100_000)),
    (ValueError, "^headers", lambda pool: pool.request("GET", "/m", headers={"A": "x\n"})),
    (TypeError, "^headers", lambda pool: pool.request("GET", "/m", headers={"A": b"x"})),
    (ValueError, "^headers", lambda pool: pool.request("GET", "/m", headers={"Host": "x"})),
]


@pytest.mark.parametrize(("kind", "words", "call"), BAD_CALLS)
def test_bad_calls_send_nothing(
    gateway: ScriptedGateway, kind: type[BaseException], words: str, call: Any
) -> None:
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool("k", script.url) as pool:
            with pytest.raises(kind, match=words):
                await call(pool)
            assert pool.stats()["submitted"] == 0
            assert "id" in await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    assert script.counts()["requests"] == 1


def test_a_structure_that_holds_itself_is_refused(gateway: ScriptedGateway) -> None:
    circular: list[Any] = []
    circular.append(circular)

    async def main() -> None:
        async with HolySheepPool("k", gateway.script().url) as pool:
            with pytest.raises(ValueError, match=r"^json: Circular"):
                await pool.request("POST", "/x", json=circular)
            assert pool.stats()["submitted"] == 0

    asyncio.run(main())


def test_more_headers_than_there_may_be(gateway: ScriptedGateway) -> None:
    headers = {f"X-{number}": "1" for number in range(1000)}
    with pytest.raises(ValueError, match=r"^headers"):
        HolySheepPool("k", headers=headers)
