"""What is promised of a case, and how what was reached is reckoned from its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from .model import Case, Results, on_loop_of

Reach = Callable[[Results, str], Optional[float]]  # of one of our clients


@dataclass(frozen=True)
class Goal:
    """A promise: what is to be reached, and what is hoped for.

    reach: what one of our clients reached, None where something wasn't measured.
    must, aim: limits from below (at_least) or above; aim None where there is none.
    """

    title: str
    unit: str
    must: float
    aim: Optional[float]
    reach: Reach
    at_least: bool = False
    digits: int = 2

    def verdict(self, reached: float) -> str:
        """ "aim", "must" or "short"."""
        sign = 1 if self.at_least else -1
        if self.aim is not None and sign * reached >= sign * self.aim:
            return "aim"
        return "must" if sign * reached >= sign * self.must else "short"


@dataclass(frozen=True)
class Row:
    """A line of the promises: the cases it needs and its goals, for each of `ours`."""

    name: str
    title: str
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...]
    ours: tuple[str, ...]


def to_peer(case: Case, metric: str, peers: Optional[tuple[str, ...]] = None) -> Reach:
    """Ours as a multiple of the fastest peer's on the same event loop; or of `peers`' best."""

    def reach(results: Results, ours: str) -> Optional[float]:
        if peers is None:
            fastest = results.fastest_peer(case, ours)
            against = results.median(case, fastest, metric) if fastest else None
        else:
            known = [results.median(case, peer, metric) for peer in on_loop_of(ours, peers)]
            against = min((value for value in known if value is not None), default=None)
        return _ratio(results.median(case, ours, metric), against)

    return reach


def times_faster(case: Case, metric: str, peers: tuple[str, ...]) -> Reach:
    """The best of these peers as a multiple of ours."""

    def reach(results: Results, ours: str) -> Optional[float]:
        known = [results.median(case, peer, metric) for peer in peers]
        best = min((value for value in known if value is not None), default=None)
        return _ratio(best, results.median(case, ours, metric))

    return reach


def to_bare(case: Case, metric: str) -> Reach:
    """Ours as a multiple of the bare program's."""
    bare = case.bare
    assert bare is not None
    return lambda results, ours: _ratio(
        results.median(case, ours, metric), results.median(case, bare, metric)
    )


def itself(case: Case, metric: str, scale: float = 1.0) -> Reach:
    """The figure as it is, `scale` times."""

    def reach(results: Results, ours: str) -> Optional[float]:
        value = results.median(case, ours, metric)
        return None if value is None else value * scale

    return reach


def quotient(case: Case, above: str, below: str) -> Reach:
    """One metric as a multiple of another."""
    return lambda results, ours: _ratio(
        results.median(case, ours, above), results.median(case, ours, below)
    )


def growth(cases: tuple[Case, ...], metric: str) -> Reach:
    """The largest rise of a metric from any case to any later one, as a multiple."""

    def reach(results: Results, ours: str) -> Optional[float]:
        known = [results.median(case, ours, metric) for case in cases]
        values = [value for value in known if value is not None]
        if len(values) < len(cases):
            return None
        return max(later / min(values[: i + 1]) for i, later in enumerate(values))

    return reach


def _ratio(value: Optional[float], against: Optional[float]) -> Optional[float]:
    return value / against if value is not None and against else None
