"""No key and no password is ever seen in a message, a repr or a traceback."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from typing import Any

import pytest

from holysheep import HolySheepPool
from support import MESSAGES, ScriptedGateway, free_port

KEY = "sk-topsecret-key"
PASSWORD = "topsecret-password"


def everything_said(error: BaseException) -> str:
    """All that a log might show of an error, but for local variables."""
    parts = [str(error), repr(error), "".join(traceback.format_exception(None, error, None))]
    seen: Any = error
    while seen is not None:
        parts += [repr(seen.args), repr({k: v for k, v in vars(seen).items()})]
        seen = seen.__cause__ or seen.__context__
    for name in ("request", "response"):
        part = getattr(error, name, None)
        if part is not None:
            parts += [repr(part), repr(vars(part))]
    return "\n".join(parts)


def error_of(url: str, **options: Any) -> BaseException:
    async def main() -> BaseException:
        async with HolySheepPool(KEY, url, **options) as pool:
            assert "secret" not in repr(pool) + str(pool.stats())
            call = pool.chat_completion("m", MESSAGES)
            outcome = (await asyncio.gather(call, return_exceptions=True))[0]
            assert isinstance(outcome, BaseException)
            return outcome

    return asyncio.run(main())


@pytest.mark.parametrize(
    "words",
    [
        "close=before",
        "close=rst",
        "garbage",
        "truncate=5",
        "badgzip",
        "body=x",
        "status=401",
        "status=302,redirect",
        "bomb=16",
        "head_size=600000",
    ],
)
def test_faults_do_not_tell(gateway: ScriptedGateway, words: str) -> None:
    error = error_of(gateway.script(words).url, max_reply_bytes=1 << 20)
    assert "topsecret" not in everything_said(error)
    copy = pickle.loads(pickle.dumps(error))
    assert "topsecret" not in everything_said(copy)


def test_a_failed_connection_does_not_tell() -> None:
    assert "topsecret" not in everything_said(error_of(f"http://127.0.0.1:{free_port()}/v1"))


@pytest.mark.parametrize("port_of", ["refusing", "absent"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_fails_does_not_tell(
    gateway: ScriptedGateway, port_of: str, scheme: str
) -> None:
    address = gateway.address() if port_of == "refusing" else f"127.0.0.1:{free_port()}"
    proxy = f"http://user:{PASSWORD}@{address}"
    error = error_of(f"{scheme}://refused.invalid/x/status=407/v1", proxy=proxy)
    assert "topsecret" not in everything_said(error)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": f"{KEY}\n"},
        {"api_key": f"{KEY}é"},
        {"api_key": f"{KEY}\0"},
        {"base_url": f"http://user:{PASSWORD}@host/v1"},
        {"base_url": f"http://{PASSWORD}@host:port/v1"},
        {"base_url": f"user:{PASSWORD}@host/v1"},
        {"base_url": f"http://host:{PASSWORD}/v1"},
        {"proxy": f"socks5://user:{PASSWORD}@host:1"},
        {"proxy": f"http://user:{PASSWORD}@host:port"},
        {"proxy": f"http://user:{PASSWORD}\n@host:1"},
        {"headers": {"X-Key": f"{KEY}\n"}},
        {"headers": {"X-Key": f"{KEY}\0"}},
    ],
)
def test_refused_arguments_are_not_shown(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        HolySheepPool(**{"api_key": KEY, **options})
    error = caught.value
    assert "topsecret" not in str(error) + repr(error) + repr(error.__context__)


@pytest.mark.parametrize("value", [f"socks5://u:{PASSWORD}@h:1", f"http://u:{PASSWORD}@h:port"])
def test_a_proxy_of_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(ValueError, match=r"^proxy") as caught:
        HolySheepPool(KEY, "http://host/v1")
    assert "topsecret" not in str(caught.value) + repr(caught.value.__context__)


def test_the_key_goes_to_the_gateway_and_the_password_to_the_proxy(
    gateway: ScriptedGateway,
) -> None:
    proxy = f"http://user:{PASSWORD}@{gateway.address()}"
    script = gateway.script()

    async def main() -> None:
        async with HolySheepPool(KEY, script.url, proxy=proxy) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    (request,) = script.requests()
    assert request["headers"]["Authorization"] == [f"Bearer {KEY}"]
    assert request["headers"]["Proxy-Authorization"]


def test_a_tunnel_shows_the_proxy_no_key(gateway: ScriptedGateway) -> None:
    proxy = f"http://user:{PASSWORD}@{gateway.address()}"
    gateway.ask("reset", "proxy")
    script = gateway.script("", "good")

    async def main() -> None:
        async with HolySheepPool(KEY, script.url, proxy=proxy, verify=False) as pool:
            await pool.chat_completion("m", MESSAGES)

    asyncio.run(main())
    (tunnel,) = gateway.ask("requests", "proxy")
    assert "Authorization" not in tunnel["headers"]
    assert tunnel["headers"]["Proxy-Authorization"]
    (request,) = script.requests()
    assert request["headers"]["Authorization"] == [f"Bearer {KEY}"]
    assert "Proxy-Authorization" not in request["headers"]
