"""Checks of what users give: each names the argument, and what was expected of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional


def count(name: str, value: object, least: int, most: int) -> int:
    """An integer from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name}: expected {least} to {most}, got {value}")
    return value


def text(name: str, value: object) -> str:
    """A str, or a path as one."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected str, got {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"{name}: contains a NUL character")
    return value


def optional_text(name: str, value: object) -> Optional[str]:
    """The same, or None."""
    return None if value is None else text(name, value)


def flag(name: str, value: object) -> bool:
    """True or False, not what merely counts as such."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")
    return value


def header_pairs(headers: Optional[Mapping[str, str]]) -> Optional[tuple[tuple[str, str], ...]]:
    """Names and values of str, as the core takes them."""
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers: expected a mapping, got {type(headers).__name__}")
    if not headers:
        return None
    return tuple((text("headers", name), text("headers", headers[name])) for name in headers)
