"""The reference and ours, put to the same use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Callable, Union

import httpx
import reference

import holysheep
from support import MESSAGES, Script, ScriptedGateway

Pool = Union[reference.HolySheepPool, holysheep.HolySheepPool]
PoolClass = Callable[..., Pool]
Use = Callable[[Pool], Awaitable[Any]]

SIDES: tuple[PoolClass, PoolClass] = (reference.HolySheepPool, holysheep.HolySheepPool)


async def one_call(pool: Pool) -> Any:
    """The plainest use."""
    return await pool.chat_completion("gpt-4.1", MESSAGES)


def outcome_of(pool_class: PoolClass, url: str, use: Use = one_call, **options: Any) -> Any:
    """What a use of a fresh pool gives or raises."""

    async def main() -> Any:
        pool = pool_class("key", url, **options)
        try:
            return await use(pool)
        except Exception as error:
            return error
        finally:
            await pool.close()

    return asyncio.run(main())


def both(
    gateway: ScriptedGateway,
    words: str,
    use: Use = one_call,
    listener: str = "http",
    **options: Any,
) -> tuple[Any, Any]:
    """The reference's outcome and ours, each with a script of its own."""
    theirs, ours = (
        outcome_of(side, gateway.script(words, listener).url, use, **options) for side in SIDES
    )
    return theirs, ours


def both_scripts(
    gateway: ScriptedGateway, words: str, use: Use = one_call, **options: Any
) -> tuple[Script, Script]:
    """What the reference and ours made the gateway see."""
    scripts = gateway.script(words), gateway.script(words)
    for side, script in zip(SIDES, scripts):
        outcome = outcome_of(side, script.url, use, **options)
        assert not isinstance(outcome, Exception), outcome
    return scripts


HTTPX_ERRORS: list[type[Exception]] = [
    getattr(httpx, name)
    for name in httpx.__all__
    if isinstance(getattr(httpx, name), type) and issubclass(getattr(httpx, name), Exception)
]


def caught_by(error: object) -> set[str]:
    """The `except httpx.X` lines that catch an error, and the built-in ones."""
    lines = [*HTTPX_ERRORS, ValueError, TypeError, RuntimeError, OSError, Exception]
    return {line.__name__ for line in lines if isinstance(error, line)}
