"""CachedHolySheepPool: a HolySheepPool that doesn't ask twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from .arguments import flag
from .cache import HolySheepCache
from .encoding import encode_members
from .pool import CHAT_PATH, HolySheepPool, chat_body

if TYPE_CHECKING:
    from ._core import PoolStats
    from .cache import CacheStats

    class CachedPoolStats(PoolStats):
        """A pool's counters, and its cache's."""

        cache: CacheStats


_NO_CACHE, _NO_STORE, _LOOKED_UP = 1, 2, 4


class CachedHolySheepPool(HolySheepPool):
    """A pool that looks into a cache first; identical calls in flight share one request.

    api_key, and the keywords of HolySheepPool.
    cache: a HolySheepCache, which several pools may share; by default one of its own.
    """

    def __init__(
        self, api_key: Optional[str], cache: Optional[HolySheepCache] = None, **options: Any
    ) -> None:
        if cache is not None and not isinstance(cache, HolySheepCache):
            raise TypeError(f"cache: expected HolySheepCache, got {type(cache).__name__}")
        self.cache = HolySheepCache() if cache is None else cache
        self._cache = self.cache._core
        self._cache_namespace = self.cache._namespace
        super().__init__(api_key, **options)
        self._namespace = self._core.cache_namespace or ""
        self.cache._bind(self._namespace)
        self._look_up = self._cache.look_up
        self._missed = 0 if self.cache._revalidates else _LOOKED_UP

    async def chat_completion(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        temperature: float = 0.7,
        max_tokens: int = 2048,
        *,
        no_cache: bool = False,
        no_store: bool = False,
        **extra: Any,
    ) -> dict[str, Any]:
        """As HolySheepPool's, but a reply that is in the cache is given from there.

        Such a reply has "cached": True, and "stale": True when it had expired. Each call
        gets a dict of its own.

        no_cache: neither looks up nor shares another's request; keeps the fresh reply.
        no_store: does not keep the reply.
        """
        if self._closed:
            raise self._closed_error("POST", CHAT_PATH)
        if not no_cache and not extra.get("stream"):
            hit = self._look_up(self._namespace, model, messages, temperature, max_tokens, extra)
            if hit is NotImplemented:
                body = chat_body(model, messages, temperature, max_tokens, extra)
                assert self._cache is not None
                hit = self._cache.look_up_text(self._namespace, encode_members(body))
            if hit is not None:
                reply: dict[str, Any] = hit
                return reply
        control = _NO_CACHE * flag("no_cache", no_cache) or self._missed
        control |= _NO_STORE * flag("no_store", no_store)
        body = chat_body(model, messages, temperature, max_tokens, extra)
        if self.cache._should_cache is None:
            return await self._chat(body, control)
        return await self._chat_asking(body, control)

    async def _chat(self, body: dict[str, Any], control: int) -> dict[str, Any]:
        reply = await self._exchange("POST", CHAT_PATH, encode_members(body), None, control)
        value: dict[str, Any] = self._value(reply, "POST", CHAT_PATH)
        return value

    async def _chat_asking(self, body: dict[str, Any], control: int) -> dict[str, Any]:
        """The same, where the user says what is kept; the core doesn't call back."""
        generation = self.cache._core.generation()
        request = encode_members(body)
        reply = await self._exchange("POST", CHAT_PATH, request, None, control | _NO_STORE)
        value: dict[str, Any] = self._value(reply, "POST", CHAT_PATH)
        if not reply.cached and not control & _NO_STORE:
            self.cache._put(self._namespace, body, request, value, generation)
        return value

    def stats(self) -> CachedPoolStats:
        """The pool's counters, and the cache's under "cache"."""
        return {**super().stats(), "cache": self.cache.stats()}
