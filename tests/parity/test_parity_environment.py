"""The environment is heeded as httpx heeds it."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from typing import Any, Optional
from unittest import mock

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sides import SIDES, both, outcome_of

from holysheep.environment import proxy_for
from support import Certificates, ScriptedGateway

# Made once: it takes longer than all the rest.
_TLS = ssl.create_default_context()


def httpx_proxy_for(url: str, environ: Mapping[str, str]) -> Optional[str]:
    """The proxy that httpx chooses."""
    with mock.patch.dict(os.environ, environ, clear=True):
        client = httpx.AsyncClient(verify=_TLS)
        transport: Any = client._transport_for_url(httpx.URL(url))
    if transport is client._transport:
        return None
    proxy = transport._pool._proxy_url
    return f"{proxy.scheme.decode()}://{proxy.host.decode()}:{proxy.port}"


PROXY = {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}
TABLE: list[tuple[str, dict[str, str]]] = [
    ("http://example.com/v1", {}),
    ("http://example.com/v1", {"HTTP_PROXY": "http://p:1"}),
    ("http://example.com/v1", {"http_proxy": "http://p:1"}),
    ("http://example.com/v1", {"HTTP_PROXY": "http://p:1", "http_proxy": "http://l:2"}),
    ("http://example.com/v1", {"HTTP_PROXY": "http://p:1", "http_proxy": ""}),
    ("http://example.com/v1", {"HTTP_PROXY": "p:1"}),
    ("http://example.com/v1", {"HTTPS_PROXY": "http://p:1"}),
    ("http://example.com/v1", {"ALL_PROXY": "http://p:1"}),
    ("http://example.com/v1", {"ALL_PROXY": "http://p:1", "HTTP_PROXY": "http://q:1"}),
    ("http://example.com/v1", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}),
    ("http://example.com/v1", {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}),
    ("https://example.com/v1", {"HTTPS_PROXY": "http://p:1"}),
    ("https://example.com/v1", {"HTTP_PROXY": "http://p:1"}),
    ("https://example.com/v1", {"all_proxy": "http://p:1"}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": "*"}),
    ("http://example.com/v1", {**PROXY, "no_proxy": "*"}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": "example.com", "no_proxy": ""}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": "example.com"}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": " other.test , example.com "}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": "EXAMPLE.COM"}),
    ("http://www.example.com/v1", {**PROXY, "NO_PROXY": "example.com"}),
    ("http://www.example.com/v1", {**PROXY, "NO_PROXY": ".example.com"}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": ".example.com"}),
    ("http://www.example.com/v1", {**PROXY, "NO_PROXY": "*.example.com"}),
    ("http://notexample.com/v1", {**PROXY, "NO_PROXY": "example.com"}),
    ("http://example.com:8080/v1", {**PROXY, "NO_PROXY": "example.com:8080"}),
    ("http://example.com:8081/v1", {**PROXY, "NO_PROXY": "example.com:8080"}),
    ("https://example.com/v1", {**PROXY, "NO_PROXY": "example.com:443"}),
    ("https://example.com/v1", {**PROXY, "NO_PROXY": "https://example.com"}),
    ("http://example.com/v1", {**PROXY, "NO_PROXY": "https://example.com"}),
    ("http://localhost:80/v1", {**PROXY, "NO_PROXY": "localhost"}),
    ("http://a.localhost/v1", {**PROXY, "NO_PROXY": "localhost"}),
    ("http://127.0.0.1:80/v1", {**PROXY, "NO_PROXY": "localhost,127.0.0.1"}),
    ("http://127.0.0.2:80/v1", {**PROXY, "NO_PROXY": "127.0.0.0/8"}),
    ("http://[::1]:8000/v1", {**PROXY, "NO_PROXY": "::1"}),
    ("http://[::2]:8000/v1", {**PROXY, "NO_PROXY": "::1"}),
]


@pytest.mark.parametrize(("url", "environ"), TABLE)
def test_the_same_proxy_is_chosen(url: str, environ: dict[str, str]) -> None:
    assert proxy_for(url, environ) == httpx_proxy_for(url, environ)


HOSTS = ["example.com", "www.example.com", "notexample.com", "localhost", "127.0.0.1", "[::1]"]
ENTRIES = [
    *HOSTS[:5],
    ".example.com",
    "*.example.com",
    "com",
    "::1",
    "10.0.0.0/8",
    "*",
    "",
    "1.2.3",
]
ENTRIES += ["https://example.com", "http://www.example.com", "http://", "https://localhost:8443"]
ENTRIES += ["example.com:8080", "example.com:80", "127.0.0.1:8080", " localhost "]
NAMES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "Http_Proxy"]


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(HOSTS),
    port=st.sampled_from(["", ":80", ":443", ":8080", ":8443"]),
    proxies=st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from(["http://p:1", "q:2", ""]), max_size=4
    ),
    exempt=st.lists(st.sampled_from(ENTRIES), max_size=3),
    exempt_name=st.sampled_from(["NO_PROXY", "no_proxy"]),
)
def test_any_environment_gives_the_same_proxy(
    scheme: str,
    host: str,
    port: str,
    proxies: dict[str, str],
    exempt: list[str],
    exempt_name: str,
) -> None:
    environ = {**proxies, exempt_name: ",".join(exempt)}
    url = f"{scheme}://{host}{port}/v1"
    assert proxy_for(url, environ) == httpx_proxy_for(url, environ)


def test_plain_requests_go_through_the_proxy(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripted gateway answers as a proxy, too, and tells how it was asked."""
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pass%20word@{gateway.address()}")
    asked = both_through_proxy(gateway)
    theirs, ours = asked
    assert ours["target"].split("/x/")[0] == theirs["target"].split("/x/")[0] == "http://far.test"
    credentials = "Basic " + base64.b64encode(b"user:pass word").decode()
    for request in asked:
        assert request["headers"]["Proxy-Authorization"] == [credentials]
        assert request["headers"]["Authorization"] == ["Bearer key"]


def both_through_proxy(gateway: ScriptedGateway) -> list[dict[str, Any]]:
    """The request of each side for a host that only the proxy can reach."""
    seen = []
    for side in SIDES:
        script = gateway.script()
        far = script.url.replace(gateway.address(), "far.test")
        outcome = outcome_of(side, far)
        assert isinstance(outcome, dict), outcome
        seen.append(script.requests()[0])
    return seen


def test_tls_goes_through_a_tunnel(
    gateway: ScriptedGateway, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{gateway.address()}")
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    gateway.ask("reset", "proxy")
    theirs, ours = both(gateway, "", listener="good")
    assert ours == theirs
    tunnels = gateway.ask("requests", "proxy")
    assert [tunnel["target"] for tunnel in tunnels] == [gateway.address("good")] * 2


def test_no_proxy_goes_straight(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    theirs, ours = both(gateway, "")
    assert ours == theirs
    assert isinstance(ours, dict)


def test_ssl_cert_file_is_trusted(
    gateway: ScriptedGateway, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = both(gateway, "", listener="good")
    assert isinstance(theirs, httpx.ConnectError)
    assert isinstance(ours, httpx.ConnectError)
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca_file)
    theirs, ours = both(gateway, "", listener="good")
    assert ours == theirs
    assert isinstance(ours, dict)
