"""The caches, each as somebody would use it in front of a pool: asked for a chat completion,
they give a dict of the caller's own.

But for ours and litellm they hold text, under the article's key. A cache is imported only in
the process that measures it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from ... import payload, servers
from ...clients import load_module

Messages = Sequence[Mapping[str, Any]]
Ask = Callable[[str, Messages], Awaitable[dict[str, Any]]]
Text = Union[str, bytes]
ENTRIES, LIFETIME = 10_000, 7200  # what the caches may hold; the article's seconds for gpt-4.1


def article_key(model: str, messages: Messages, temperature: float, max_tokens: int) -> str:
    """The name of a request, as the article's class makes it."""
    request = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    text = json.dumps(request, sort_keys=True)
    return "holysheep:" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _asking(get: Callable[[str], Optional[Text]]) -> Ask:
    """What a cache of texts needs around it."""

    async def chat_completion(
        model: str,
        messages: Messages,
        temperature: float = payload.TEMPERATURE,
        max_tokens: int = payload.MAX_TOKENS,
    ) -> dict[str, Any]:
        text = get(article_key(model, messages, temperature, max_tokens))
        if text is None:
            raise LookupError("a miss")
        reply: dict[str, Any] = json.loads(text)
        reply["cached"] = True
        return reply

    return chat_completion


def _key(messages: Messages) -> str:
    return article_key(payload.MODEL, messages, payload.TEMPERATURE, payload.MAX_TOKENS)


@contextlib.asynccontextmanager
async def open_holysheep(url: str, messages: Messages) -> AsyncIterator[Ask]:
    async with load_module("holysheep").CachedHolySheepPool(payload.API_KEY, base_url=url) as pool:
        await pool.chat_completion(payload.MODEL, messages)
        yield pool.chat_completion


@contextlib.asynccontextmanager
async def open_dict(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    yield _asking({_key(messages): payload.reply()}.get)


@contextlib.asynccontextmanager
async def open_cachetools_lru(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    cache = load_module("cachetools").LRUCache(ENTRIES)
    cache[_key(messages)] = payload.reply()
    yield _asking(cache.get)


@contextlib.asynccontextmanager
async def open_cachetools_ttl(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    cache = load_module("cachetools").TTLCache(ENTRIES, LIFETIME)
    cache[_key(messages)] = payload.reply()
    yield _asking(cache.get)


@contextlib.asynccontextmanager
async def open_cachebox(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    cache = load_module("cachebox").TTLCache(ENTRIES, LIFETIME)
    cache[_key(messages)] = payload.reply()
    yield _asking(cache.get)


@contextlib.asynccontextmanager
async def open_theine(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    cache = load_module("theine").Cache(ENTRIES)
    cache.set(_key(messages), payload.reply())

    def get(key: str) -> Optional[str]:
        text, found = cache.get(key)
        return text if found else None

    yield _asking(get)


@contextlib.asynccontextmanager
async def open_diskcache(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    diskcache = load_module("diskcache")
    with (
        tempfile.TemporaryDirectory(prefix="holysheep-") as folder,
        diskcache.Cache(folder) as cache,
    ):
        cache.set(_key(messages), payload.reply(), expire=LIFETIME)
        yield _asking(cache.get)


@contextlib.asynccontextmanager
async def open_redis(url: str, messages: Messages) -> AsyncIterator[Ask]:
    """Blocking, as the article's class is."""
    with load_module("redis").Redis.from_url(url) as client:
        client.setex(_key(messages), LIFETIME, payload.reply())
        yield _asking(client.get)


@contextlib.asynccontextmanager
async def open_litellm(_url: str, messages: Messages) -> AsyncIterator[Ask]:
    cache = load_module("litellm.caching.caching").Cache(type="local")

    def request(model: str, messages: Messages) -> dict[str, Any]:
        return {
            "model": model,
            "messages": messages,
            "temperature": payload.TEMPERATURE,
            "max_tokens": payload.MAX_TOKENS,
        }

    async def chat_completion(model: str, messages: Messages) -> dict[str, Any]:
        reply: Optional[dict[str, Any]] = await cache.async_get_cache(**request(model, messages))
        if reply is None:
            raise LookupError("a miss")
        reply["cached"] = True
        return reply

    await cache.async_add_cache(payload.reply(), **request(payload.MODEL, messages))
    yield chat_completion


@contextlib.contextmanager
def no_server() -> Iterator[str]:
    """For caches that need none."""
    yield ""


@dataclass(frozen=True)
class Contender:
    """A row of the tables.

    package: its distribution's name, "" for none.
    open: the cache with the reply to one conversation in it; it is given the server's URL.
    serve: the server that it needs.
    """

    name: str
    package: str
    open: Callable[[str, Messages], contextlib.AbstractAsyncContextManager[Ask]]
    serve: Callable[[], contextlib.AbstractContextManager[str]] = no_server


OURS = "CachedHolySheepPool"
BY_HAND = "json, sha256, dict"
CACHETOOLS = ("cachetools, LRU", "cachetools, TTL")
REDIS = ("redis-py",)
_ALL = (
    Contender(OURS, "holysheep", open_holysheep, servers.nginx),
    Contender(BY_HAND, "", open_dict),
    Contender(CACHETOOLS[0], "cachetools", open_cachetools_lru),
    Contender(CACHETOOLS[1], "cachetools", open_cachetools_ttl),
    Contender("cachebox", "cachebox", open_cachebox),
    Contender("theine", "theine", open_theine),
    Contender("litellm", "litellm", open_litellm),
    Contender("diskcache", "diskcache", open_diskcache),
    Contender(REDIS[0], "redis", open_redis, servers.redis),
)
CONTENDERS = {contender.name: contender for contender in _ALL}
PEERS = {name: one.package for name, one in CONTENDERS.items() if name not in (OURS, BY_HAND)}
