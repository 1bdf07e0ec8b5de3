"""CachedHolySheepPool beside other caches, and the store in the core: what must be reached."""

from __future__ import annotations

from typing import Optional

from ...goals import Goal, Reach, Row, itself, quotient, times_faster
from ...model import Case
from . import contenders, core, hits, ratio
from .crowd import CALLS, CROWD


def _rate(title: str, must: float, aim: float, case: Case) -> Goal:
    reach = itself(case, "one_thread", 1e-6)
    return Goal(title, "M/s", must, aim, reach, at_least=True)


def _faster(title: str, must: float, aim: Optional[float], reach: Reach) -> Goal:
    return Goal(title, "x", must, aim, reach, at_least=True)


def _long(name: str, title: str, case: Case, must: float) -> Row:
    faster = _faster("by hand to a hit", must, 8, itself(case, "ratio"))
    return Row(name, title, (case,), (faster,), case.ours)


ROWS = (
    Row(
        "hit",
        "a hit from Python",
        (hits.SHORT,),
        (
            Goal("", "us", 1.2, 0.65, itself(hits.SHORT, "hit", 1e6)),
            _faster(
                "cachetools to it", 5, None, times_faster(hits.SHORT, "hit", contenders.CACHETOOLS)
            ),
            _faster("redis-py to it", 100, None, times_faster(hits.SHORT, "hit", contenders.REDIS)),
        ),
        hits.SHORT.ours,
    ),
    _long("ascii", "a hit with a 32 KB prompt, ASCII", hits.ASCII, 5),
    _long("vietnamese", "a hit with a 32K prompt, Vietnamese", hits.VIETNAMESE, 4),
    Row(
        "zipf",
        "C: look-ups among 1M entries, Zipf 0.99",
        (core.ZIPF,),
        (
            _rate("one thread", 4, 8, core.ZIPF),
            _faster(
                "two threads to one", 1.6, 1.9, quotient(core.ZIPF, "two_threads", "one_thread")
            ),
        ),
        core.ZIPF.ours,
    ),
    Row(
        "hot",
        "C: look-ups of 1,000 hot keys",
        (core.HOT,),
        (_rate("one thread", 12, 25, core.HOT),),
        core.HOT.ours,
    ),
    Row(
        "overhead",
        "C: an entry beyond key and value",
        (core.OVERHEAD,),
        (Goal("", "bytes", 96, 56, itself(core.OVERHEAD, "overhead"), digits=1),),
        (core.LRU,),
    ),
    Row(
        "stops",
        "C: longest stop of a look-up, P99.99",
        (core.STOPS,),
        (
            Goal("1M entries invalidated", "us", 50, 10, itself(core.STOPS, "invalidated", 1e6)),
            Goal("1M entries expire", "us", 50, 10, itself(core.STOPS, "expired", 1e6)),
        ),
        core.STOPS.ours,
    ),
    Row(
        "crowd",
        f"{CALLS:,} identical calls at once",
        (CROWD,),
        (Goal("reach the server", "", 1, None, itself(CROWD, "requests"), digits=0),),
        CROWD.ours,
    ),
    Row(
        "ratio",
        "hit ratio on traces",
        ratio.CASES,
        (
            Goal("LRU below exact LRU, most", "points", 0.3, None, ratio.most_below_exact),
            Goal("S3-FIFO above LRU, most", "points", 0, 3, ratio.most_above_lru, at_least=True),
        ),
        (core.LRU,),
    ),
)
