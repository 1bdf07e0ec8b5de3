"""The clients, each in its best documented form: one shared client, kept connections,
limits that let `in_flight` calls run at once, HTTP/1.1.

A client is imported only in the process that measures it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from . import payload

Call = Callable[[], Awaitable[Any]]  # one request sent, its reply decoded
PATH = "/chat/completions"
PATIENCE = 120.0  # seconds, where a client has a time-out unless told: none is to give up


@dataclass(frozen=True)
class Target:
    """What a client is to talk to.

    base_url: "http[s]://host:port/v1".
    in_flight: calls at a time, hence connections.
    ca_file: the authority of the server's certificate, or None for plain HTTP.
    """

    base_url: str
    in_flight: int
    ca_file: Optional[str] = None

    @property
    def url(self) -> str:
        return self.base_url + PATH

    def authority(self) -> Optional[bytes]:
        """The authority's certificate as PEM."""
        return Path(self.ca_file).read_bytes() if self.ca_file else None

    def tls(self) -> Optional[ssl.SSLContext]:
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None


HEADERS = {"Authorization": f"Bearer {payload.API_KEY}"}


def load_module(name: str) -> Any:
    """A module that may lack types, or be missing where nothing is measured."""
    return importlib.import_module(name)


@contextlib.asynccontextmanager
async def open_holysheep(target: Target) -> AsyncIterator[Call]:
    pool = load_module("holysheep").HolySheepPool(
        payload.API_KEY,
        target.base_url,
        max_connections=target.in_flight,
        max_keepalive=target.in_flight,
        timeout=PATIENCE,
        ca_file=target.ca_file,
    )
    async with pool:
        yield lambda: pool.chat_completion(payload.MODEL, payload.MESSAGES)


@contextlib.asynccontextmanager
async def open_aiohttp(target: Target) -> AsyncIterator[Call]:
    aiohttp = load_module("aiohttp")
    connector = aiohttp.TCPConnector(limit=target.in_flight, ssl=target.tls() or True)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    body = payload.request()
    async with aiohttp.ClientSession(
        connector=connector, headers=HEADERS, timeout=timeout, raise_for_status=True
    ) as session:

        async def call() -> Any:
            async with session.post(target.url, json=body) as response:
                return await response.json()

        yield call


@contextlib.asynccontextmanager
async def _open_httpx_like(module: Any, target: Target) -> AsyncIterator[Call]:
    limits = module.Limits(
        max_connections=target.in_flight, max_keepalive_connections=target.in_flight
    )
    body = payload.request()
    async with module.AsyncClient(
        headers=HEADERS, limits=limits, timeout=PATIENCE, verify=target.tls() or True
    ) as client:

        async def call() -> Any:
            response = await client.post(target.url, json=body)
            return response.raise_for_status().json()

        yield call


def open_httpx(target: Target) -> contextlib.AbstractAsyncContextManager[Call]:
    return _open_httpx_like(load_module("httpx"), target)


def open_httpx2(target: Target) -> contextlib.AbstractAsyncContextManager[Call]:
    return _open_httpx_like(load_module("httpx2"), target)


@contextlib.asynccontextmanager
async def open_pyreqwest(target: Target) -> AsyncIterator[Call]:
    builder = load_module("pyreqwest.client").ClientBuilder()
    builder = (
        builder.error_for_status(True)
        .default_headers(HEADERS)
        .max_connections(target.in_flight)
        .pool_max_idle_per_host(target.in_flight)
    )
    authority = target.authority()
    if authority:
        builder = builder.add_root_certificate_pem(authority)
    body = payload.request()
    async with builder.build() as client:

        async def call() -> Any:
            response = await client.post(target.url).body_json(body).build().send()
            return await response.json()

        yield call


@contextlib.asynccontextmanager
async def open_pyqwest(target: Target) -> AsyncIterator[Call]:
    pyqwest = load_module("pyqwest")
    transport = pyqwest.HTTPTransport(
        tls_ca_cert=target.authority(),
        http_version=pyqwest.HTTPVersion.HTTP1,
        pool_max_idle_per_host=target.in_flight,
        enable_otel=False,
    )
    headers = pyqwest.Headers({**HEADERS, "Content-Type": "application/json"})
    body = payload.request()
    async with transport:
        client = pyqwest.Client(transport)

        async def call() -> Any:
            content = json.dumps(body).encode()
            response = await client.post(target.url, headers, content)
            if response.status >= 300:
                raise RuntimeError(f"status {response.status}")
            return response.json()

        yield call


@contextlib.asynccontextmanager
async def open_curl_cffi(target: Target) -> AsyncIterator[Call]:
    requests = load_module("curl_cffi.requests")
    body = payload.request()
    async with requests.AsyncSession(
        max_clients=target.in_flight,
        headers=HEADERS,
        timeout=PATIENCE,
        verify=target.ca_file or True,
        http_version="v1",
        raise_for_status=True,
    ) as session:

        async def call() -> Any:
            return (await session.post(target.url, json=body)).json()

        yield call


@contextlib.asynccontextmanager
async def open_niquests(target: Target) -> AsyncIterator[Call]:
    body = payload.request()
    async with load_module("niquests").AsyncSession(
        pool_connections=1,
        pool_maxsize=target.in_flight,
        disable_http2=True,
        disable_http3=True,
        headers=HEADERS,
        timeout=PATIENCE,
        verify=target.ca_file or True,
    ) as session:

        async def call() -> Any:
            return (await session.post(target.url, json=body)).raise_for_status().json()

        yield call


@contextlib.asynccontextmanager
async def open_openai(target: Target) -> AsyncIterator[Call]:
    """Over aiohttp, which openai's own documentation advises for many calls at once."""
    openai = load_module("openai")
    limits = load_module("httpx2").Limits(
        max_connections=target.in_flight, max_keepalive_connections=target.in_flight
    )
    async with openai.AsyncOpenAI(
        api_key=payload.API_KEY,
        base_url=target.base_url,
        max_retries=0,
        timeout=PATIENCE,
        http_client=openai.DefaultAioHttpClient(limits=limits, verify=target.tls() or True),
    ) as client:
        yield lambda: client.chat.completions.create(**payload.request())


OURS, PEER, BARE = "ours", "peer", "bare"


@dataclass(frozen=True)
class Client:
    """A row of the tables.

    name: as printed; kind: OURS, PEER or BARE; package: its distribution's name.
    open: how to use it, None for a program that isn't Python.
    """

    name: str
    kind: str
    package: str
    open: Optional[Callable[[Target], contextlib.AbstractAsyncContextManager[Call]]]
    uvloop: bool = False


_ALL = [
    Client("HolySheepPool", OURS, "holysheep", open_holysheep),
    Client("HolySheepPool, uvloop", OURS, "holysheep", open_holysheep, uvloop=True),
    Client("bare libcurl", BARE, "libcurl", None),
    Client("pyreqwest", PEER, "pyreqwest", open_pyreqwest),
    Client("pyreqwest, uvloop", PEER, "pyreqwest", open_pyreqwest, uvloop=True),
    Client("aiohttp", PEER, "aiohttp", open_aiohttp),
    Client("aiohttp, uvloop", PEER, "aiohttp", open_aiohttp, uvloop=True),
    Client("pyqwest", PEER, "pyqwest", open_pyqwest),
    Client("pyqwest, uvloop", PEER, "pyqwest", open_pyqwest, uvloop=True),
    Client("curl_cffi", PEER, "curl_cffi", open_curl_cffi),
    Client("niquests", PEER, "niquests", open_niquests),
    Client("httpx2", PEER, "httpx2", open_httpx2),
    Client("httpx", PEER, "httpx", open_httpx),
    Client("openai", PEER, "openai", open_openai),
]
CLIENTS = {client.name: client for client in _ALL}
