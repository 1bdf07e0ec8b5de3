"""The classes of errors, with httpx and without, and what they carry."""

from __future__ import annotations

import pickle

import httpx
import pytest

import holysheep
from holysheep.messages import Headers, Request, Response
from support import ScriptedGateway, ask, check_python, free_port, sent

NAMES = [
    "ConnectError",
    "ConnectTimeout",
    "DecodingError",
    "HTTPStatusError",
    "NetworkError",
    "PoolTimeout",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "TimeoutException",
    "TransportError",
    "WriteError",
    "WriteTimeout",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_family_is_that_of_httpx(name: str) -> None:
    """What is a kind of what there is so here."""
    ours, theirs = getattr(holysheep, name), getattr(httpx, name)
    assert issubclass(ours, holysheep.HolySheepError)
    for other in NAMES:
        expected = issubclass(theirs, getattr(httpx, other))
        assert issubclass(ours, getattr(holysheep, other)) == expected, other


@pytest.mark.parametrize(
    "words", ["status=429", "close=before", "truncate=4", "badgzip", "size=99999"]
)
def test_an_error_survives_pickling(gateway: ScriptedGateway, words: str) -> None:
    error = ask(gateway.script(words).url, max_reply_bytes=2000)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), sent(copy)) == (str(error), sent(error))
    assert (copy.request.method, copy.request.url) == ("POST", error.request.url)
    if isinstance(error, holysheep.HTTPStatusError):
        assert copy.response.status_code == 429
        assert dict(copy.response.headers) == dict(error.response.headers)
        assert copy.response.json() == error.response.json()


WITHOUT_HTTPX = """
import asyncio, pickle, sys
import holysheep

async def main():
    async with holysheep.HolySheepPool("k", sys.argv[1]) as pool:
        try:
            await pool.chat_completion("m", [])
        except holysheep.ConnectError as error:
            return error

error = asyncio.run(main())
assert "httpx" not in sys.modules
assert type(error) is holysheep.ConnectError, type(error)
stored = pickle.dumps(error)
import httpx
again = asyncio.run(main())
assert isinstance(again, httpx.ConnectError) and isinstance(again, holysheep.ConnectError)
assert again.request.method == "POST" and again.sent == "not sent"
assert isinstance(pickle.loads(stored), httpx.ConnectError)
"""


def test_httpx_is_joined_only_once_it_is_loaded() -> None:
    check_python(WITHOUT_HTTPX, f"http://127.0.0.1:{free_port()}/v1")


def test_everything_promised_can_be_imported() -> None:
    for name in holysheep.__all__:
        assert getattr(holysheep, name) is not None
        assert name in dir(holysheep)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = holysheep.Nonsense  # type: ignore[attr-defined] # on purpose


def test_headers_are_a_mapping_without_case() -> None:
    headers = Headers([("Set-Cookie", "a=1"), ("X-A", "1"), ("set-cookie", "b=2")])
    assert headers["SET-COOKIE"] == "a=1, b=2"
    assert dict(headers) == {"set-cookie": "a=1, b=2", "x-a": "1"}
    assert len(headers) == 2
    assert "x-a" in headers
    assert "x-b" not in headers
    assert headers.get("x-b", "none") == "none"
    assert headers.multi_items()[2] == ("set-cookie", "b=2")
    with pytest.raises(KeyError):
        headers["x-b"]


def test_requests_and_responses_show_what_they_are() -> None:
    request = Request("POST", "http://host/v1/x")
    response = Response(404, "Not Found", Headers([]), b"{}", request)
    assert repr(request) == "<Request('POST', 'http://host/v1/x')>"
    assert repr(response) == "<Response [404 Not Found]>"
    assert response.request is request
