"""The same `except httpx.X` lines catch the same failures, and show the same members."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import httpx
import pytest
from sides import SIDES, Pool, both, caught_by, outcome_of

from support import MESSAGES, Certificates, ScriptedGateway, free_port, unanswering_port


def assert_caught_alike(theirs: Any, ours: Any) -> None:
    """Whatever line catches theirs catches ours, and no line of httpx's catches ours alone."""
    assert isinstance(theirs, Exception), theirs
    assert isinstance(ours, Exception), ours
    assert caught_by(ours) == caught_by(theirs), (repr(theirs), repr(ours))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("close=before", "RemoteProtocolError"),
        ("close=head", "RemoteProtocolError"),
        ("close=body", "RemoteProtocolError"),
        ("close=body,chunked", "RemoteProtocolError"),
        ("close=body,gzip", "RemoteProtocolError"),
        ("close=rst", "ReadError"),
        ("truncate=10", "RemoteProtocolError"),
        ("garbage", "RemoteProtocolError"),
        ("badchunk", "RemoteProtocolError"),
        ("badgzip", "DecodingError"),
        ("head_size=600000", "RemoteProtocolError"),
    ],
)
def test_a_broken_reply(gateway: ScriptedGateway, words: str, line: str) -> None:
    theirs, ours = both(gateway, words)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, getattr(httpx, line))


@pytest.mark.parametrize("words", ["empty", "body=no", "body={", "status=204,empty", "bomb=1"])
def test_a_body_that_is_not_json(gateway: ScriptedGateway, words: str) -> None:
    theirs, ours = both(gateway, words)
    assert type(theirs) is type(ours) is json.JSONDecodeError
    assert str(ours) == str(theirs)


def test_a_body_that_is_not_utf8(gateway: ScriptedGateway) -> None:
    theirs, ours = both(gateway, "body=%22%FF%22")
    assert type(theirs) is type(ours) is UnicodeDecodeError
    assert str(ours) == str(theirs)


STATUSES = [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 408, 409, 413, 422, 429]
STATUSES += [500, 502, 503, 504, 529, 599, 600, 999]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_of_300_and_up(gateway: ScriptedGateway, status: int) -> None:
    words = f"status={status},redirect,header=Retry-After:7"
    theirs, ours = both(gateway, words)
    assert_caught_alike(theirs, ours)
    # Theirs goes on in a second line, with a link to MDN.
    assert without_script(str(ours)) == without_script(str(theirs).splitlines()[0])
    compare_requests(theirs.request, ours.request)
    compare_responses(theirs.response, ours.response)


def without_script(text: str) -> str:
    """Each side's URL has a script of its own in it."""
    return text.partition("/x/id=")[0] + text.partition("/v1")[1] + text.partition("/v1")[2]


def compare_requests(theirs: Any, ours: Any) -> None:
    assert ours.method == theirs.method
    assert without_script(str(ours.url)) == without_script(str(theirs.url))


def compare_responses(theirs: Any, ours: Any) -> None:
    for member in ("status_code", "reason_phrase", "text", "content"):
        assert getattr(ours, member) == getattr(theirs, member), member
    compare_requests(theirs.request, ours.request)
    assert dict(ours.headers) == dict(theirs.headers)
    assert list(ours.headers.items()) == list(theirs.headers.items())
    for name in ("retry-after", "Retry-After", "RETRY-AFTER", "content-type", "absent"):
        assert ours.headers.get(name) == theirs.headers.get(name)
        assert (name in ours.headers) == (name in theirs.headers)
    assert ours.headers["Retry-After"] == "7"
    assert read_json(ours) == read_json(theirs)


def read_json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    "words",
    [
        "body=plain",
        "body=%C3%A9%C3%A8,type=text%2Fplain",
        "body=%E9%E8,type=text%2Fplain",
        "body=%E9%E8,type=text%2Fhtml;%20charset=iso-8859-1",
        "body=%E9%E8,type=text%2Fhtml;charset=%22latin-1%22",
        "body=%E9%E8,type=text%2Fhtml;%20charset=no-such-thing",
        "gzip",
        "chunked",
        "no_length",
        "empty",
    ],
)
def test_the_text_of_an_error(gateway: ScriptedGateway, words: str) -> None:
    theirs, ours = both(gateway, f"status=502,header=Retry-After:7,{words}")
    assert_caught_alike(theirs, ours)
    compare_responses(theirs.response, ours.response)


def outcomes_at(url: str, **options: Any) -> tuple[Any, Any]:
    theirs, ours = (outcome_of(side, url, **options) for side in SIDES)
    return theirs, ours


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refused(scheme: str) -> None:
    theirs, ours = outcomes_at(f"{scheme}://127.0.0.1:{free_port()}/v1")
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ConnectError)
    compare_requests(theirs.request, ours.request)


def test_a_host_that_does_not_exist() -> None:
    theirs, ours = outcomes_at("http://nowhere.invalid/v1")
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ConnectError)


@pytest.mark.parametrize("listener", ["expired", "wrong_name", "unknown_authority"])
def test_a_bad_certificate(
    gateway: ScriptedGateway,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    listener: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    theirs, ours = both(gateway, "", listener=listener)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ConnectError)


def test_tls_to_a_server_without_it(gateway: ScriptedGateway) -> None:
    theirs, ours = outcomes_at(f"https://{gateway.address()}/v1")
    assert_caught_alike(theirs, ours)


def test_a_proxy_that_refuses(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{gateway.address()}")
    theirs, ours = outcomes_at("https://refused.invalid/v1")
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ProxyError)


# ------------------------------------------------------------------------ time limits


def test_connect_timeout() -> None:
    with unanswering_port() as port:
        theirs, ours = outcomes_at(f"http://127.0.0.1:{port}/v1", timeout=0.3)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ConnectTimeout)


def test_the_handshake_counts_as_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        theirs, ours = outcomes_at(url, timeout=0.3)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ConnectTimeout)


def test_read_timeout(gateway: ScriptedGateway) -> None:
    theirs, ours = both(gateway, "delay=20000", timeout=0.3)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.ReadTimeout)


def test_write_timeout(gateway: ScriptedGateway) -> None:
    async def use(pool: Pool) -> Any:
        return await pool.chat_completion("m", [{"role": "user", "content": "x" * 20_000_000}])

    theirs, ours = both(gateway, "noread=5000", use, timeout=0.4)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, httpx.WriteTimeout)


def test_there_is_no_limit_in_total(gateway: ScriptedGateway) -> None:
    """A reply that drips takes longer than the time-out, and comes."""
    theirs, ours = both(gateway, "drip=6", timeout=1)
    assert ours == theirs
    assert isinstance(ours, dict)


def test_waiting_for_a_place_has_no_limit(gateway: ScriptedGateway) -> None:
    async def use(pool: Pool) -> Any:
        return await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(4)))

    theirs, ours = both(gateway, "delay=400", use, timeout=1, max_connections=1)
    assert ours == theirs
    assert len(ours) == 4


# ------------------------------------------------------------------------ after close


def test_a_call_after_close(gateway: ScriptedGateway) -> None:
    async def use(pool: Pool) -> Any:
        await pool.chat_completion("m", MESSAGES)
        await pool.close()
        return await pool.chat_completion("m", MESSAGES)

    theirs, ours = both(gateway, "", use)
    assert_caught_alike(theirs, ours)
    assert isinstance(ours, RuntimeError)


def test_closing_twice(gateway: ScriptedGateway) -> None:
    async def use(pool: Pool) -> Any:
        await pool.close()
        await pool.close()

    assert both(gateway, "", use) == (None, None)


# ------------------------------------------------------------------- what cannot be sent


@pytest.mark.parametrize(
    ("temperature", "content"),
    [(float("nan"), "x"), (float("inf"), "x"), (object(), "x"), (0.7, {1, 2}), (0.7, b"x")],
)
def test_values_that_json_cannot_hold(
    gateway: ScriptedGateway, temperature: Any, content: Any
) -> None:
    async def use(pool: Pool) -> Any:
        return await pool.chat_completion("m", [{"content": content}], temperature)

    theirs, ours = both(gateway, "", use)
    assert_caught_alike(theirs, ours)
    assert type(ours) is type(theirs)
