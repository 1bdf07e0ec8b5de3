"""How long a model takes: a base, a time per token, and jitter. Pure; seeded."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class LatencyModel:
    """Seconds of a reply: base + tokens * per_token, spread evenly by +- jitter (0 to 1)."""

    base: float = 0.02
    per_token: float = 0.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        for name in ("base", "per_token"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected seconds from 0, got {getattr(self, name)}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter: expected 0 to 1, got {self.jitter}")

    def seconds(self, tokens: int, randomness: random.Random) -> float:
        """The time for a reply of so many tokens."""
        spread = 1 + self.jitter * randomness.uniform(-1, 1)
        return (self.base + tokens * self.per_token) * spread
