"""JSON as httpx writes it, and as json.loads reads it, by the json module's own parts.

json.dumps and json.loads build an encoder and look at their arguments for every call; the
parts beneath them are used directly where they give the same result.
"""

from __future__ import annotations

import json
import json.encoder
from typing import Any, Callable, Optional

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_scan = json.JSONDecoder().scan_once


def _make_encode() -> Callable[[Any], str]:
    maker: Optional[Callable[..., Any]] = json.encoder.c_make_encoder
    if maker is None:
        return _ENCODER.encode
    # No table of what is being encoded: a structure that holds itself ends in a
    # RecursionError, and is then given to the full encoder for its clear message.
    parts = maker(
        None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
    )

    def encode(value: Any) -> str:
        try:
            return "".join(parts(value, 0))
        except RecursionError:
            return _ENCODER.encode(value)

    return encode


encode = _make_encode()


def decode(text: str, content: Callable[[], bytes]) -> Any:
    """The value of `text`, or of `content()` by json.loads when it isn't plain JSON text."""
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError):
        return json.loads(content())
    return value if end == len(text) else json.loads(content())
