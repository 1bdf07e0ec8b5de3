"""The store in the core, by a program in C: see bench/cache/look_up.c."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Union

from ... import programs
from ...model import Case, Figures, Metric, Settings
from ...runner import run_program

ENTRIES = 1_000_000
PATIENCE = 5  # times the usual limit: the store is filled first
LRU, S3_FIFO = "LRU", "S3-FIFO"
POLICIES = {LRU: "lru", S3_FIFO: "s3fifo"}
RATES = (
    Metric("one_thread", "one thread M/s", 1e-6, 2, most_is_best=True),
    Metric("two_threads", "two threads M/s", 1e-6, 2, most_is_best=True),
)


def measure(what: str, policy: str, settings: Settings) -> Figures:
    """What the program finds out about a store of ENTRIES."""
    entries = str(settings.scaled(ENTRIES))
    command: list[Union[str, Path]] = [programs.look_up(), what, POLICIES[policy], entries]
    return run_program(command, "", PATIENCE * settings.limit)


def _case(what: str, title: str, metrics: tuple[Metric, ...], policies: tuple[str, ...]) -> Case:
    measure_it = functools.partial(measure, what)
    return Case(what, title, policies, metrics, measure_it, prepare=programs.look_up)


ZIPF = _case("zipf", f"look-ups in C among {ENTRIES:,} entries, Zipf 0.99", RATES, (LRU,))
HOT = _case("hot", "look-ups in C of 1,000 of them", RATES, (LRU,))
OVERHEAD = _case(
    "overhead",
    "memory of an entry beyond key and value",
    (Metric("overhead", "heap bytes", digits=1), Metric("counted", "as counted", digits=1)),
    (LRU, S3_FIFO),
)
STOPS = _case(
    "stops",
    f"look-ups in C while {ENTRIES:,} entries go; P99.99",
    (
        Metric("invalidated", "invalidated, CPU us", 1e6, 1),
        Metric("expired", "expire, CPU us", 1e6, 1),
        Metric("quiet", "nothing goes, CPU us", 1e6, 1),
        Metric("invalidated_elapsed", "invalidated, elapsed us", 1e6, 1),
        Metric("expired_elapsed", "expire, elapsed us", 1e6, 1),
        Metric("quiet_elapsed", "nothing goes, elapsed us", 1e6, 1),
    ),
    (LRU,),
)
