"""HolySheepPool: pooled asynchronous requests to an OpenAI-compatible gateway."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from . import _core
from .arguments import count, flag, header_pairs, optional_text, text
from .completions import LoopBindings
from .encoding import decode, encode_members, encode_value
from .environment import proxy_for
from .errors import status_error, transport_error
from .messages import Headers, Request, Response
from .timeout import Timeout, as_timeout, milliseconds

if TYPE_CHECKING:
    from ._core import PoolStats

_CLOSED = "Cannot send a request, as the pool has been closed."
CHAT_PATH = "/chat/completions"
_STALE = 2


_AnyPool = TypeVar("_AnyPool", bound="HolySheepPool")


class HolySheepPool:
    """Requests to one gateway over kept connections, at most so many at a time.

    A pool may be made anywhere, without an event loop, and used from any number of event
    loops and threads. Nothing is opened before the first call.

    api_key: sent as "Authorization: Bearer ...".
    base_url: "http[s]://host[:port][/path]".
    max_connections: calls in flight at a time, 1 to 100,000; further ones wait, first come
        first served.
    max_keepalive: idle connections kept, from 0.
    timeout: seconds for connecting, for each read and for each write; None for no limit; or
        a Timeout.
    pool_timeout, total_timeout: seconds of waiting for a place, and from the call to the last
        byte; None for no limit. They replace those of `timeout`.
    ca_file: PEM file of trusted authorities, instead of SSL_CERT_FILE or the system's.
    verify: False accepts any certificate.
    cert_file, key_file: PEM files of a client certificate.
    proxy: "http://[user:password@]host:port", or "" for none; by default what HTTP_PROXY,
        HTTPS_PROXY, ALL_PROXY and NO_PROXY say.
    headers: sent with every request.
    keepalive_expiry: seconds after which an idle connection is dropped; None: never.
    max_reply_bytes: limit of a reply's body, after decompression.

    Raises TypeError or ValueError, which name the argument.
    """

    # What a subclass with a cache sets before __init__.
    _cache: Optional[_core.Cache] = None
    _cache_namespace: Optional[str] = None

    def __init__(
        self,
        api_key: Optional[str],
        base_url: str = "https://api.holysheep.ai/v1",
        max_connections: int = 100,
        max_keepalive: int = 20,
        timeout: Union[float, Timeout, None] = 30.0,
        *,
        pool_timeout: Optional[float] = None,
        total_timeout: Optional[float] = None,
        ca_file: Union[str, os.PathLike[str], None] = None,
        verify: bool = True,
        cert_file: Union[str, os.PathLike[str], None] = None,
        key_file: Union[str, os.PathLike[str], None] = None,
        proxy: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        keepalive_expiry: Optional[float] = 30.0,
        max_reply_bytes: int = 64 << 20,
    ) -> None:
        base_url = text("base_url", base_url)
        if proxy is None:
            proxy = proxy_for(base_url, os.environ)
        if ca_file is None:
            ca_file = os.environ.get("SSL_CERT_FILE") or None
        self._core = _core.Pool(
            base_url=base_url,
            api_key=optional_text("api_key", api_key),
            max_connections=count("max_connections", max_connections, 1, 100_000),
            max_keepalive=count("max_keepalive", max_keepalive, 0, 100_000) or -1,
            insecure=not flag("verify", verify),
            ca_file=optional_text("ca_file", ca_file),
            cert_file=optional_text("cert_file", cert_file),
            key_file=optional_text("key_file", key_file),
            proxy=optional_text("proxy", proxy) or None,
            headers=header_pairs(headers),
            timeouts=_times(as_timeout(timeout), pool_timeout, total_timeout),
            keepalive_expiry=milliseconds("keepalive_expiry", keepalive_expiry),
            max_reply_bytes=count("max_reply_bytes", max_reply_bytes, 1, 1 << 62),
            cache=self._cache,
            cache_namespace=self._cache_namespace,
        )
        self._base_url = base_url.rstrip("/")
        self._closed = False
        self._bindings = LoopBindings()
        # At exit the thread must be gone before TLS libraries are taken down.
        self._finalizer = weakref.finalize(self, self._core.close)

    async def chat_completion(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        temperature: float = 0.7,
        max_tokens: int = 2048,
        **extra: Any,
    ) -> dict[str, Any]:
        """Sends one chat completion, once, and returns the decoded reply.

        model, messages, temperature, max_tokens, and whatever is in `extra` (tools,
        response_format, seed, ...) are the members of the JSON body.

        Raises HTTPStatusError for a status of 300 and up; ConnectError, ConnectTimeout,
        ReadTimeout, WriteTimeout, PoolTimeout, TotalTimeout, ReadError, WriteError,
        ProxyError, RemoteProtocolError, DecodingError, ReplyTooLarge, whose `sent` tells
        whether the request may have reached the server; json.JSONDecodeError for a reply
        that isn't JSON; PoolClosed (a RuntimeError) after close.
        """
        body = chat_body(model, messages, temperature, max_tokens, extra)
        reply = await self._exchange("POST", CHAT_PATH, encode_members(body), None)
        value: dict[str, Any] = self._value(reply, "POST", CHAT_PATH)
        return value

    async def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """Sends any request, once, and returns the decoded reply.

        method: "GET", "POST", ...
        path: begins with "/", is appended to base_url.
        json: the body, or None for none.
        headers: in addition to the pool's; the same name replaces.

        Raises what chat_completion raises. An empty reply (204) gives None.
        """
        method, path = text("method", method), text("path", path)
        body = None if json is None else encode_value("json", json)
        reply = await self._exchange(method, path, body, header_pairs(headers))
        if reply.status < 300 and not reply.body:
            return None
        return self._value(reply, method, path)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Union[str, bytes, None],
        headers: Optional[tuple[tuple[str, str], ...]],
        cache_control: int = 0,
    ) -> _core.Reply:
        """One request, one reply, whatever its status."""
        if self._closed:
            raise self._closed_error(method, path)
        try:
            binding = self._bindings.current()
            tag, future = binding.expect()
            try:
                call = self._core.submit(
                    binding.queue, tag, method, path, body, headers, None, cache_control
                )
            except BaseException:
                del binding.futures[tag]
                raise
        except OSError as error:  # no descriptor or thread is left
            raise transport_error(-6, str(error), 0, self._request(method, path)) from None
        try:
            reply = await future
        except BaseException:  # cancelled: the transfer stops, the place is free
            if binding.futures.pop(tag, None) is not None:
                self._core.cancel(call)
            raise
        if reply.result:
            request = self._request(method, path)
            raise transport_error(reply.result, reply.message, reply.sent, request)
        return reply

    def _request(self, method: str, path: str) -> Request:
        return Request(method, self._base_url + path)

    def _value(self, reply: _core.Reply, method: str, path: str) -> Any:
        if reply.status >= 300:
            raise status_error(self._response(reply, method, path))
        try:
            body = reply.text
        except UnicodeDecodeError:
            body = ""
        value = decode(body, lambda: reply.body)
        if reply.cached:
            value["cached"] = True
            if reply.cached == _STALE:
                value["stale"] = True
        return value

    def _closed_error(self, method: str, path: str) -> BaseException:
        return transport_error(-3, _CLOSED, 0, self._request(method, path))

    def _response(self, reply: _core.Reply, method: str, path: str) -> Response:
        request = self._request(method, path)
        return Response(reply.status, reply.reason, Headers(reply.headers), reply.body, request)

    def stats(self) -> PoolStats:
        """Counters since the pool was made; in_flight and waiting are of this moment."""
        return self._core.stats()

    async def close(self) -> None:
        """Ends outstanding calls with PoolClosed, closes connections, stops the thread.

        Later calls raise PoolClosed. Closing twice is harmless.
        """
        self._closed = True
        self._core.close()
        self._bindings.detach_all()

    async def __aenter__(self: _AnyPool) -> _AnyPool:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        bindings = getattr(self, "_bindings", None)
        if bindings is not None:
            bindings.detach_all()

    def __repr__(self) -> str:
        if not hasattr(self, "_bindings"):  # __init__ has failed
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} {self._base_url}{' closed' if self._closed else ''}>"


def chat_body(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    temperature: float,
    max_tokens: int,
    extra: dict[str, Any],
) -> dict[str, Any]:
    """The body of a chat completion."""
    if not isinstance(model, str):
        raise TypeError(f"model: expected str, got {type(model).__name__}")
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    if extra:
        if extra.get("stream"):
            raise ValueError("stream: expected False or nothing; replies come whole")
        body.update(extra)
    return body


def _times(
    timeout: Timeout, pool: Optional[float], total: Optional[float]
) -> tuple[int, int, int, int, int]:
    if pool is not None or total is not None:
        timeout = Timeout(
            timeout.connect,
            timeout.read,
            timeout.write,
            timeout.pool if pool is None else pool,
            timeout.total if total is None else total,
        )
    return timeout.in_milliseconds()
