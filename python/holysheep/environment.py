"""What the environment says of proxies.

The variables are read as httpx reads them, so that a program that changes from one to the
other is routed as before. Nothing here touches os.environ by itself; it is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The NAME_proxy variables by name; as in urllib, the lower-case spelling wins, empty or
    not, and HTTP_PROXY is ignored under CGI, where a client could set it by a header."""
    found = {
        name[:-6].lower(): value
        for name, value in environ.items()
        if value and name.lower().endswith("_proxy")
    }
    if "REQUEST_METHOD" in environ:
        found.pop("http", None)
    for name, value in environ.items():
        if name.endswith("_proxy"):
            found[name[:-6].lower()] = value
    return found


def _is_address(host: str) -> bool:
    return ":" in host or (host.count(".") == 3 and host.replace(".", "").isdigit())


def _host_matches(host: str, wanted: str) -> bool:
    """example.com stands for itself and what is below it, .example.com for the latter alone;
    addresses and localhost stand for themselves alone."""
    if wanted.startswith("."):
        return host.endswith(wanted) and host != wanted
    below = wanted != "localhost" and not _is_address(wanted)
    return host == wanted or (below and host.endswith("." + wanted))


def _matches(url: SplitResult, entry: str) -> bool:
    """Whether an entry of NO_PROXY, [scheme://]host[:port], stands for a URL."""
    has_scheme = "://" in entry
    bare_ipv6 = not has_scheme and entry.count(":") > 1 and not entry.startswith("[")
    wanted = urlsplit(entry if has_scheme else f"//[{entry}]" if bare_ipv6 else f"//{entry}")
    if wanted.scheme not in ("", "all", url.scheme):
        return False
    port = None if url.port == _DEFAULT_PORTS[url.scheme] else url.port
    if wanted.port not in (None, _DEFAULT_PORTS.get(wanted.scheme), port):
        return False
    host = wanted.hostname or ""
    if has_scheme:
        return host == url.hostname or (not host and wanted.scheme == url.scheme)
    return bool(host) and _host_matches(url.hostname or "", host)


def _is_exempt(url: SplitResult, no_proxy: str) -> bool:
    for entry in (text.strip() for text in no_proxy.split(",")):
        try:
            if entry == "*" or (entry and _matches(url, entry)):
                return True
        except ValueError:  # not a host, or not a port
            continue
    return False


def proxy_for(base_url: str, environ: Mapping[str, str]) -> Optional[str]:
    """The proxy for a base URL, or None.

    HTTP_PROXY counts for http, HTTPS_PROXY for https, ALL_PROXY for what has none of its own;
    NO_PROXY lists hosts and domains to reach directly.
    """
    proxies = _proxies(environ)
    try:
        url = urlsplit(base_url)
        proxy = proxies.get(url.scheme) or proxies.get("all")
        if not proxy or _is_exempt(url, proxies.get("no", "")):
            return None
    except (ValueError, KeyError):  # not a URL for a pool; the core will say why
        return None
    return proxy if "://" in proxy else "http://" + proxy
