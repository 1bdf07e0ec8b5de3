"""HolySheepCache: replies kept in memory, so that none is paid for twice."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, TypedDict, Union

from . import _core
from .arguments import count, flag, text
from .encoding import encode_members, encode_value
from .timeout import milliseconds

if TYPE_CHECKING:
    from ._core import CacheCounters, CacheLoaded

    ShouldCache = Callable[[dict[str, Any], dict[str, Any]], bool]

Messages = Sequence[Mapping[str, Any]]

DEFAULT_CACHE_MODELS = {
    "gpt-4.1": 7200,
    "claude-sonnet-4.5": 7200,
    "gemini-2.5-flash": 1800,
    "deepseek-v3.2": 3600,
}
"""Seconds that a model's replies live."""

DEFAULT_PRICES = {
    "gpt-4.1": 8.0,
    "claude-sonnet-4.5": 15.0,
    "gemini-2.5-flash": 2.5,
    "deepseek-v3.2": 0.42,
}
"""Dollars a million tokens."""

_POLICIES = {"lru": 0, "s3-fifo": 1}
_UNLABELLED, _TRUNCATED, _FILTERED = 1, 2, 4
_FOREVER, _NONE = -1, -2


class CacheSaved(TypedDict):
    """What hits saved: tokens of the replies, and dollars by the table of prices."""

    prompt_tokens: int
    completion_tokens: int
    dollars: float


class CacheStats(TypedDict):
    """Counters since the cache was made; entries and bytes are of this moment."""

    hits: int
    stale_hits: int
    misses: int
    hit_ratio: float
    coalesced: int
    stores: int
    evictions: int
    expirations: int
    invalidations: int
    deletions: int
    entries: int
    bytes: int
    saved: CacheSaved
    refused: _core.Refusals


def _ttl(name: str, seconds: Optional[float]) -> int:
    """Milliseconds as the core takes them; 0 seconds: not cached, None: for ever."""
    if seconds is None:
        return _FOREVER
    return milliseconds(name, seconds) if seconds != 0 else _NONE


def _price(model: str, dollars: object) -> int:
    """Billionths of a dollar a token, from dollars a million."""
    name = f"prices[{model!r}]"
    if isinstance(dollars, bool) or not isinstance(dollars, (int, float)):
        raise TypeError(f"{name}: expected dollars a million tokens, got {type(dollars).__name__}")
    if not 0 <= dollars <= 1_000_000:
        raise ValueError(f"{name}: expected 0 to 1000000 dollars, got {dollars!r}")
    return round(dollars * 1000)


def _rules(
    ttls: Mapping[str, Optional[float]], prices: Mapping[str, float]
) -> tuple[tuple[str, int, int], ...]:
    """What the core knows of models: name, milliseconds (0: as others), price."""
    names = dict.fromkeys([*ttls, *prices])
    return tuple(
        (
            text("cache_models", name),
            _ttl(f"cache_models[{name!r}]", ttls[name]) if name in ttls else 0,
            _price(name, prices[name]) if name in prices else 0,
        )
        for name in names
    )


def _stale(name: str, seconds: float) -> int:
    return 0 if seconds == 0 else milliseconds(name, seconds)


def _members(model: str, messages: Messages, params: dict[str, Any]) -> dict[str, Any]:
    """A chat completion's body, with the defaults of chat_completion."""
    defaults = {"temperature": 0.7, "max_tokens": 2048}
    return {"model": text("model", model), "messages": messages, **defaults, **params}


class HolySheepCache:
    """Replies in memory, found again by their whole request.

    The key is the request's body as json.dumps(body, sort_keys=True) gives it, without
    `stream` and `stream_options`, and with the order kept inside `tools`, `functions` and
    `response_format`. Kept are complete replies: JSON objects with choices, none of them cut
    short, without an error.

    redis_url: a second tier is not part of this version; anything but None is refused.
    ttl_seconds: how long replies live; 0: not cached, None: for ever.
    cache_models: seconds for each model that differs; by default DEFAULT_CACHE_MODELS.
    max_bytes: of all memory for entries, keys and overhead included, from 16384.
    max_item_bytes: of one entry; by default an eighth of a shard's share of max_bytes.
    policy: "lru", or "s3-fifo", which withstands long scans better.
    shards: a power of two up to 1024.
    prices: dollars a million tokens, for stats(); by default DEFAULT_PRICES.
    namespace: replies are kept apart by namespace. By default each pool has its own, of its
        base URL, key and headers; pools that are given the same cache and the same
        namespace share replies.
    ignore_labels: leaves `user`, `safety_identifier`, `prompt_cache_key`,
        `prompt_cache_retention` and `store` out of the key.
    store_truncated, store_filtered: also keep replies whose finish_reason is "length" or
        "content_filter".
    stale_while_revalidate: for so many seconds after a reply expired pools still give it,
        marked by "stale": True, and refresh it in the background.
    stale_if_error: the same, while the gateway fails.
    should_cache: should_cache(request, reply) says whether to keep a reply; both are dicts.

    Raises TypeError or ValueError, which name the argument.
    """

    def __init__(
        self,
        redis_url: Optional[str] = None,
        ttl_seconds: Optional[float] = 3600,
        cache_models: Optional[Mapping[str, Optional[float]]] = None,
        *,
        max_bytes: int = 256 << 20,
        max_item_bytes: Optional[int] = None,
        policy: str = "lru",
        shards: int = 64,
        prices: Optional[Mapping[str, float]] = None,
        namespace: Optional[str] = None,
        ignore_labels: bool = False,
        store_truncated: bool = False,
        store_filtered: bool = False,
        stale_while_revalidate: float = 0.0,
        stale_if_error: float = 0.0,
        should_cache: Optional[ShouldCache] = None,
    ) -> None:
        if redis_url is not None:
            raise ValueError("redis_url: expected None; this version keeps replies in memory only")
        if policy not in _POLICIES:
            raise ValueError(f"policy: expected 'lru' or 's3-fifo', got {policy!r}")
        if should_cache is not None and stale_while_revalidate:
            raise ValueError("should_cache: cannot be asked for stale_while_revalidate's refreshes")
        flags = _UNLABELLED * flag("ignore_labels", ignore_labels)
        flags |= _TRUNCATED * flag("store_truncated", store_truncated)
        flags |= _FILTERED * flag("store_filtered", store_filtered)
        ttls = DEFAULT_CACHE_MODELS if cache_models is None else cache_models
        self._core = _core.Cache(
            flags=flags,
            policy=_POLICIES[policy],
            shards=count("shards", shards, 1, 1024),
            max_bytes=count("max_bytes", max_bytes, 16 << 10, 1 << 60),
            max_item_bytes=(
                0 if max_item_bytes is None else count("max_item_bytes", max_item_bytes, 1, 1 << 60)
            ),
            ttl=_ttl("ttl_seconds", ttl_seconds),
            stale_while_revalidate=_stale("stale_while_revalidate", stale_while_revalidate),
            stale_if_error=_stale("stale_if_error", stale_if_error),
            models=_rules(ttls, DEFAULT_PRICES if prices is None else prices),
        )
        self._revalidates = bool(stale_while_revalidate)
        self._should_cache = should_cache
        self._namespace = None if namespace is None else text("namespace", namespace)
        self._home = self._namespace

    def _bind(self, namespace: str) -> None:
        """The first pool's namespace is the one that this object's own methods speak of."""
        if self._home is None:
            self._home = namespace

    def _request(
        self, model: str, messages: Messages, params: dict[str, Any]
    ) -> tuple[str, Union[str, bytes]]:
        return self._home or "", encode_members(_members(model, messages, params))

    def key(self, model: str, messages: Messages, **params: Any) -> str:
        """The request's name in Redis: "holysheep:" and 32 hex digits of its SHA-256."""
        return self._core.key(encode_members(_members(model, messages, params)))

    def get_cached_response(
        self, model: str, messages: Messages, **params: Any
    ) -> Optional[dict[str, Any]]:
        """The reply to this request, a dict of the caller's own, or None."""
        reply = self._core.look_up_text(*self._request(model, messages, params))
        if reply is not None:
            del reply["cached"]
        return reply

    def cache_response(
        self, model: str, messages: Messages, response: Mapping[str, Any], **params: Any
    ) -> None:
        """Keeps a reply, if it is one that may be kept; stats() count why not."""
        body = _members(model, messages, params)
        self._put(self._home or "", body, encode_members(body), response, self._core.generation())

    def _put(
        self,
        namespace: str,
        body: dict[str, Any],
        request: Union[str, bytes],
        reply: Mapping[str, Any],
        generation: int,
    ) -> None:
        encoded = encode_value("response", reply)
        content = encoded.encode("ascii") if isinstance(encoded, str) else encoded
        if self._should_cache is not None and not self._should_cache(body, dict(reply)):
            return
        self._core.put(namespace, request, content, generation)

    def delete(self, model: str, messages: Messages, **params: Any) -> bool:
        """Removes the reply to this request; whether there was one."""
        return self._core.delete(*self._request(model, messages, params))

    def invalidate_model(self, model: str) -> None:
        """Removes exactly this model's replies, at once, in all namespaces.

        A reply that is in flight meanwhile is not kept.
        """
        self._core.invalidate_model(text("model", model))

    def clear(self) -> None:
        """Removes all replies, as invalidate_model does for one model."""
        self._core.clear()

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes the replies to a file, whole or not at all, as this namespace's.

        Raises OSError.
        """
        self._core.save(self._namespace or "", os.fsencode(text("path", path)))

    def load(self, path: Union[str, os.PathLike[str]]) -> CacheLoaded:
        """Adds the replies of a saved file, with the time that is left to them.

        Gives how many there were: entries, expired, refused (no room or time), damaged and
        damaged_bytes. Raises OSError, or ValueError for a file of another kind, version or
        namespace.
        """
        return self._core.load(self._namespace or "", os.fsencode(text("path", path)))

    def stats(self) -> CacheStats:
        """Counters of all namespaces."""
        return _stats(self._core.stats())

    def __repr__(self) -> str:
        stats = self._core.stats()
        return f"<HolySheepCache {stats['entries']} entries, {stats['bytes']} bytes>"


def _stats(counters: CacheCounters) -> CacheStats:
    found = counters["hits"] + counters["stale_hits"]
    asked = found + counters["misses"]
    return {
        "hits": counters["hits"],
        "stale_hits": counters["stale_hits"],
        "misses": counters["misses"],
        "hit_ratio": found / asked if asked else 0.0,
        "coalesced": counters["coalesced"],
        "stores": counters["stores"],
        "evictions": counters["evictions"],
        "expirations": counters["expirations"],
        "invalidations": counters["invalidations"],
        "deletions": counters["deletions"],
        "entries": counters["entries"],
        "bytes": counters["bytes"],
        "saved": {
            "prompt_tokens": counters["saved_prompt_tokens"],
            "completion_tokens": counters["saved_completion_tokens"],
            "dollars": counters["saved_nanodollars"] / 1e9,
        },
        "refused": counters["refused"],
    }
