"""A limit of requests per minute, by the token bucket. Pure; time is passed in."""

from __future__ import annotations

import math


class RequestLimit:
    """Allows `per_minute` requests a minute, up to as many at once."""

    def __init__(self, per_minute: int) -> None:
        if per_minute < 1:
            raise ValueError(f"per_minute: expected 1 or more, got {per_minute}")
        self._per_second = per_minute / 60
        self._capacity = float(per_minute)
        self._tokens = float(per_minute)
        self._updated = -math.inf

    def retry_after(self, now: float) -> int:
        """0 when a request at `now` (seconds) is allowed, else whole seconds to wait."""
        if now > self._updated:
            gained = (now - self._updated) * self._per_second
            self._tokens = min(self._capacity, self._tokens + gained)
            self._updated = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) / self._per_second))
