"""How long each part of a call may take."""

from __future__ import annotations

import math
from typing import Optional

DEFAULT_SECONDS = 30.0
LONGEST_SECONDS = 100 * 366 * 24 * 3600.0


def milliseconds(name: str, seconds: Optional[float]) -> int:
    """Seconds as the core takes them: at least 1 ms, -1 for None.

    Raises TypeError or ValueError that names the argument.
    """
    if seconds is None:
        return -1
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"{name}: expected seconds (a number) or None, got {type(seconds).__name__}"
        )
    if not math.isfinite(seconds) or seconds < 0 or seconds > LONGEST_SECONDS:
        raise ValueError(f"{name}: expected seconds from 0, or None for no limit, got {seconds!r}")
    return max(1, round(seconds * 1000))


class Timeout:
    """Time limits of a call, in seconds; None means no limit.

    connect: finding the host, TCP and TLS (default 30).
    read: without a byte from the server (default 30).
    write: without progress in sending (default 30).
    pool: waiting for a place among max_connections (default none).
    total: from the call to the last byte, waiting included (default none).
    """

    __slots__ = ("connect", "pool", "read", "total", "write")

    def __init__(
        self,
        connect: Optional[float] = DEFAULT_SECONDS,
        read: Optional[float] = DEFAULT_SECONDS,
        write: Optional[float] = DEFAULT_SECONDS,
        pool: Optional[float] = None,
        total: Optional[float] = None,
    ) -> None:
        self.connect = connect
        self.read = read
        self.write = write
        self.pool = pool
        self.total = total

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"Timeout({members})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeout):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def in_milliseconds(self) -> tuple[int, int, int, int, int]:
        """connect, write, read, pool and total, as the core takes them."""
        return (
            milliseconds("timeout.connect", self.connect),
            milliseconds("timeout.write", self.write),
            milliseconds("timeout.read", self.read),
            milliseconds("timeout.pool", self.pool),
            milliseconds("timeout.total", self.total),
        )


def as_timeout(given: object) -> Timeout:
    """What `timeout=` accepts: seconds, None, or an object with connect, read and write.

    A number holds for connect, read and write each. httpx.Timeout is accepted, too.
    """
    if isinstance(given, Timeout):
        return given
    if given is None or (isinstance(given, (int, float)) and not isinstance(given, bool)):
        milliseconds("timeout", given)
        return Timeout(connect=given, read=given, write=given)
    if all(hasattr(given, name) for name in ("connect", "read", "write")):
        parts = {name: getattr(given, name, None) for name in Timeout.__slots__}
        return Timeout(**parts)
    raise TypeError(
        f"timeout: expected seconds, None or holysheep.Timeout, got {type(given).__name__}"
    )
