"""JSON as httpx writes it, and as json.loads reads it, by the json module's own parts.

json.dumps and json.loads build an encoder and look at their arguments for every call; the
parts beneath them are used directly where they give the same result.
"""

from __future__ import annotations

import json
import json.encoder
from typing import Any, Callable, Optional, Union

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# What json.loads calls for plain text; the stubs leave it out.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _make_encode() -> Callable[[Any], str]:
    maker: Optional[Callable[..., Any]] = getattr(json.encoder, "c_make_encoder", None)
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


def encode_value(name: str, value: Any) -> Union[str, bytes]:
    """The JSON text of an argument: ASCII in a str, or UTF-8.

    Raises TypeError or ValueError, which name the argument: it holds what JSON cannot, is
    nested too deeply, or has text that UTF-8 cannot hold (lone surrogates).
    """
    try:
        text = encode(value)
        return text if text.isascii() else text.encode("utf-8")
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply for JSON") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name}: contains a lone surrogate, which UTF-8 cannot hold") from None
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def encode_members(body: dict[str, Any]) -> Union[str, bytes]:
    """The same for a body whose members are arguments; errors name the member."""
    try:
        text = encode(body)
        return text if text.isascii() else text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        for name, value in body.items():
            encode_value(name, value)
        raise


def decode(text: str, content: Callable[[], bytes]) -> Any:
    """The value of `text`, or of `content()` by json.loads when it isn't plain JSON text."""
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError):
        return json.loads(content())
    return value if end == len(text) else json.loads(content())
