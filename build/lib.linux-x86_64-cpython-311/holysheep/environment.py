"""What the environment says of proxies and certificates.

The variables are those that curl, requests and httpx read. Nothing here touches
os.environ by itself; it is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional
from urllib.parse import urlsplit


def _value(environ: Mapping[str, str], name: str) -> str:
    """The lower-case spelling wins, as it does in curl."""
    return environ.get(name.lower()) or environ.get(name.upper()) or ""


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    for entry in no_proxy.split(","):
        name = entry.strip().lower()
        if name == "*":
            return True
        name, _, wanted_port = name.partition(":") if name.count(":") == 1 else (name, "", "")
        name = name.lstrip("*").lstrip(".").strip("[]")
        if not name or (wanted_port and wanted_port != str(port)):
            continue
        if host == name or host.endswith("." + name):
            return True
    return False


def proxy_for(base_url: str, environ: Mapping[str, str]) -> Optional[str]:
    """The proxy for a base URL, or None.

    HTTP_PROXY counts for http, HTTPS_PROXY for https, ALL_PROXY for both; NO_PROXY lists
    hosts and domains to reach directly. HTTP_PROXY in upper case is ignored under CGI,
    where a client could set it by a header.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    tls = parts.scheme == "https"
    if _is_exempt(host, parts.port or (443 if tls else 80), _value(environ, "no_proxy")):
        return None
    name = "https_proxy" if tls else "http_proxy"
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        proxy = environ.get("http_proxy", "")
    else:
        proxy = _value(environ, name)
    proxy = proxy or _value(environ, "all_proxy")
    if not proxy:
        return None
    return proxy if "://" in proxy else "http://" + proxy
