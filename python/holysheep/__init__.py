"""A fast, honest client for OpenAI-compatible gateways, on a C core.

    from holysheep import HolySheepPool

    pool = HolySheepPool("key", base_url="http://127.0.0.1:8080/v1")
    reply = await pool.chat_completion("gpt-4.1", [{"role": "user", "content": "Hello"}])
    await pool.close()

Everything is loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import version as __version__
    from .cache import HolySheepCache
    from .cached_pool import CachedHolySheepPool
    from .errors import (
        ConnectError,
        ConnectTimeout,
        DecodingError,
        ForkedError,
        HolySheepError,
        HTTPStatusError,
        NetworkError,
        PoolClosed,
        PoolTimeout,
        ProxyError,
        ReadError,
        ReadTimeout,
        RemoteProtocolError,
        ReplyTooLarge,
        TimeoutException,
        TotalTimeout,
        TransportError,
        WriteError,
        WriteTimeout,
    )
    from .messages import Headers, Request, Response
    from .pool import HolySheepPool
    from .timeout import Timeout

__all__ = [
    "CachedHolySheepPool",
    "ConnectError",
    "ConnectTimeout",
    "DecodingError",
    "ForkedError",
    "HTTPStatusError",
    "Headers",
    "HolySheepCache",
    "HolySheepError",
    "HolySheepPool",
    "NetworkError",
    "PoolClosed",
    "PoolTimeout",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "ReplyTooLarge",
    "Request",
    "Response",
    "Timeout",
    "TimeoutException",
    "TotalTimeout",
    "TransportError",
    "WriteError",
    "WriteTimeout",
    "__version__",
]

_HOMES = {
    "CachedHolySheepPool": "cached_pool",
    "HolySheepCache": "cache",
    "HolySheepPool": "pool",
    "Timeout": "timeout",
    "Headers": "messages",
    "Request": "messages",
    "Response": "messages",
}


if not TYPE_CHECKING:  # or every name would seem to be there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        if name == "__version__":
            return importlib.import_module("._core", __name__).version
        home = importlib.import_module(f".{_HOMES.get(name, 'errors')}", __name__)
        value = globals()[name] = getattr(home, name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
