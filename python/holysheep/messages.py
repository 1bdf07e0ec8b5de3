"""Requests and replies as errors show them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)


class Headers(Mapping[str, str]):
    """Header fields in the order received; names are looked up in any case.

    Fields that occur several times are joined by ", " on look-up (RFC 9110, 5.3).
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = list(pairs)

    def __getitem__(self, name: str) -> str:
        values = [value for key, value in self._pairs if key.lower() == name.lower()]
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.lower() for key, _ in self._pairs))

    def __len__(self) -> int:
        return len({key.lower() for key, _ in self._pairs})

    def multi_items(self) -> list[tuple[str, str]]:
        """All fields as (name, value), as received."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"


def _charset_of(headers: Headers) -> str:
    found = _CHARSET.search(headers.get("Content-Type", ""))
    return found.group(1) if found else "utf-8"


class Request:
    """The request that an error speaks of: method and URL, no secrets."""

    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url

    def __repr__(self) -> str:
        return f"<Request({self.method!r}, {self.url!r})>"


class Response:
    """A complete reply of the gateway."""

    def __init__(
        self,
        status_code: int,
        reason_phrase: str,
        headers: Headers,
        content: bytes,
        request: Request,
    ) -> None:
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.headers = headers
        self.content = content
        self.request = request

    @property
    def text(self) -> str:
        """The body as text, by the charset of its Content-Type or as UTF-8; what cannot be
        decoded is replaced."""
        try:
            return self.content.decode(_charset_of(self.headers), "replace")
        except (LookupError, UnicodeError):  # not a charset that Python knows
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body decoded. Raises json.JSONDecodeError."""
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code} {self.reason_phrase}]>"
