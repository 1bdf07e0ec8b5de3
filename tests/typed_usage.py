"""What the annotations promise to users. For mypy alone: nothing here is run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import holysheep
from holysheep import HolySheepPool, HTTPStatusError, Timeout


async def good(pool: HolySheepPool) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    assert_type(await pool.chat_completion("m", messages), dict[str, Any])
    assert_type(await pool.chat_completion("m", messages, 0, 10, tools=[], seed=1), dict[str, Any])
    assert_type(await pool.request("GET", "/models", headers={"A": "b"}), Any)
    assert_type(pool.stats()["in_flight"], int)
    assert_type(pool.stats()["errors"]["cancelled"], int)
    async with HolySheepPool("k", timeout=None, verify=False) as entered:
        assert_type(entered, HolySheepPool)
    HolySheepPool(None, "http://host/v1", 10, 5, Timeout(1, read=None), proxy="", ca_file="ca.pem")


async def bad(pool: HolySheepPool) -> None:
    HolySheepPool(3)  # type: ignore[arg-type]
    HolySheepPool("k", max_connections="many")  # type: ignore[arg-type]
    HolySheepPool("k", "http://host/v1", 1, 1, 1.0, 1.0)  # type: ignore[call-arg]
    HolySheepPool("k", retries=1)  # type: ignore[call-arg]
    await pool.chat_completion("m", "Hello")  # type: ignore[arg-type]
    await pool.request("GET", 3)  # type: ignore[arg-type]
    pool.stats()["nonsense"]  # type: ignore[typeddict-item]
    holysheep.Nonsense  # type: ignore[attr-defined] # noqa: B018


def errors(error: holysheep.HolySheepError) -> None:
    assert_type(error.sent, str)
    if isinstance(error, HTTPStatusError):
        assert_type(error.response, Any)
