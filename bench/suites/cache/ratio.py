"""Hit ratios on traces of real systems, of entries that all take the same bytes.

A trace is NAME.u32.gz: little-endian uint32 numbers of objects, one for each access. OLTP is
of Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST '03; scarab1h
of the simulator of Caffeine.
"""

from __future__ import annotations

import array
import functools
import gzip
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Optional, Union

from ... import programs
from ...model import Case, Figures, Metric, Results, Settings
from ...runner import MeasurementFailed
from .core import LRU, POLICIES, S3_FIFO

EXACT = "exact LRU"
SHARES = (0.01, 0.05, 0.2)  # of the objects of a trace: what there is room for
METRICS = tuple(f"share_{share:g}" for share in SHARES)
TRACES = ("OLTP", "scarab1h")


def read_trace(path: Path) -> array.array[int]:
    """The numbers of a trace."""
    numbers = array.array("I", gzip.decompress(path.read_bytes()))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


@functools.cache
def replay_store(path: Path, policy: str, share: float) -> tuple[int, float]:
    """Entries that our store holds in the end, and its hits of 100 accesses."""
    command: list[Union[str, Path]] = [programs.trace_sim(), policy, str(share)]
    trace = gzip.decompress(path.read_bytes())
    said = subprocess.run(command, input=trace, check=True, capture_output=True).stdout.decode()
    found = re.search(r"(\d+) entries: \S+ ([\d.]+)%", said)
    if found is None:
        raise MeasurementFailed(f"trace_sim said {said!r}")
    return int(found[1]), float(found[2])


@functools.cache
def replay_exact(path: Path, entries: int) -> float:
    """Hits of 100 accesses, of an LRU that holds exactly so many entries."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    trace = read_trace(path)
    for number in trace:
        if number in held:
            hits += 1
            held.move_to_end(number)
            continue
        if len(held) == entries:
            held.popitem(last=False)
        held[number] = None
    return 100 * hits / len(trace)


def _ratio(path: Path, client: str, share: float) -> float:
    """Exact LRU is as large as our LRU came out: budgets in bytes are not counts."""
    if client == EXACT:
        return replay_exact(path, replay_store(path, POLICIES[LRU], share)[0])
    return replay_store(path, POLICIES[client], share)[1]


def measure_ratio(trace: str, client: str, settings: Settings) -> Figures:
    """For each share; without chance, hence reckoned once."""
    path = settings.traces / f"{trace}.u32.gz" if settings.traces else None
    if path is None or not path.is_file():
        raise MeasurementFailed(f"no {trace}.u32.gz: name its folder by --traces")
    return {name: _ratio(path, client, share) for name, share in zip(METRICS, SHARES)}


CASES = tuple(
    Case(
        trace,
        f"hits of 100 accesses of {trace}, with room for a share of its objects",
        (LRU, S3_FIFO),
        tuple(
            Metric(name, f"{share:.0%}", digits=2, most_is_best=True)
            for name, share in zip(METRICS, SHARES)
        ),
        functools.partial(measure_ratio, trace),
        (EXACT,),
        prepare=programs.trace_sim,
    )
    for trace in TRACES
)


def _most_above(results: Results, client: str, other: str) -> Optional[float]:
    """The most points that a client is above another, of all traces and shares."""
    gaps = []
    for case in CASES:
        for name in METRICS:
            ours, theirs = (results.median(case, one, name) for one in (client, other))
            if ours is None or theirs is None:
                return None
            gaps.append(ours - theirs)
    return max(gaps)


def most_below_exact(results: Results, ours: str) -> Optional[float]:
    return _most_above(results, EXACT, ours)


def most_above_lru(results: Results, ours: str) -> Optional[float]:
    return _most_above(results, S3_FIFO, ours)
