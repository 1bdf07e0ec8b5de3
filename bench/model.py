"""The words of a bench: metrics, cases to measure, results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from .servers import Certificate

UVLOOP = ", uvloop"

Figures = dict[str, float]  # one measurement: metric's name -> value in SI units


@dataclass(frozen=True)
class Settings:
    """How to measure.

    runs: measurements of each client in each case.
    seconds, warm_seconds: how long a client is loaded, and before that without counting.
    share: of the calls of the large cases; 1 but for a quick look.
    limit: seconds that one measurement may take.
    traces: where traces of accesses are, NAME.u32.gz.
    """

    certificate: Certificate
    runs: int = 5
    seconds: float = 0.5
    warm_seconds: float = 0.1
    share: float = 1.0
    limit: float = 12.0
    traces: Optional[Path] = None

    def scaled(self, calls: int) -> int:
        """So many calls, or fewer for a quick look."""
        return max(1, round(calls * self.share))


@dataclass(frozen=True)
class Metric:
    """A column: `scale` times the figure is printed with `digits` decimals."""

    name: str
    title: str
    scale: float = 1.0
    digits: int = 0
    most_is_best: bool = False


def on_loop_of(client: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """Those that run on the event loop that this client runs on; all, if none does."""
    on_uvloop = client.endswith(UVLOOP)
    return tuple(other for other in others if other.endswith(UVLOOP) == on_uvloop) or others


@dataclass(frozen=True)
class Case:
    """Something measured for several clients, whose runs are interleaved.

    ours, peers, bare: names of clients. The first metric tells who is fastest.
    prepare: done before anything is measured.
    packages: the distributions of peers that are no CLIENTS; a peer without takes part always.
    """

    name: str
    title: str
    ours: tuple[str, ...]
    metrics: tuple[Metric, ...]
    measure: Callable[[str, Settings], Figures]
    peers: tuple[str, ...] = ()
    bare: Optional[str] = None
    prepare: Callable[[], object] = lambda: None
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def clients(self) -> tuple[str, ...]:
        return (*self.ours, *((self.bare,) if self.bare else ()), *self.peers)


@dataclass
class Results:
    """What came of the cases: figures of each run, or why there are none."""

    figures: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, case: Case, client: str, figures: Figures) -> None:
        self.figures.setdefault(case.name, {}).setdefault(client, []).append(figures)

    def fail(self, case: Case, client: str, reason: str) -> None:
        """Notes why; what the client reached before is dropped."""
        self.failures.setdefault(case.name, {})[client] = reason
        self.figures.get(case.name, {}).pop(client, None)

    def failed(self, case: Case, client: str) -> Optional[str]:
        return self.failures.get(case.name, {}).get(client)

    def values(self, case: Case, client: str, metric: str) -> list[float]:
        runs = self.figures.get(case.name, {}).get(client, [])
        return [run[metric] for run in runs if metric in run]

    def median(self, case: Case, client: str, metric: str) -> Optional[float]:
        values = self.values(case, client, metric)
        return statistics.median(values) if values else None

    def spread(self, case: Case, client: str, metric: str) -> Optional[float]:
        """From the least to the most, as a share of the median; None of a single run."""
        values = self.values(case, client, metric)
        middle = statistics.median(values) if len(values) > 1 else 0.0
        return (max(values) - min(values)) / middle if middle else None

    def fastest_peer(self, case: Case, ours: Optional[str] = None) -> Optional[str]:
        """The peer whose median of the first metric is best, of those on the loop of `ours`."""
        metric = case.metrics[0]
        peers = case.peers if ours is None else on_loop_of(ours, case.peers)
        known = {peer: self.median(case, peer, metric.name) for peer in peers}
        reached = {peer: value for peer, value in known.items() if value is not None}
        if not reached:
            return None
        choose = max if metric.most_is_best else min
        return choose(reached, key=lambda peer: reached[peer])
