"""HolySheepPool beside its peers and a bare libcurl loop: what must be reached."""

from __future__ import annotations

from ...goals import Goal, Reach, Row, growth, itself, quotient, to_bare, to_peer
from . import load
from .burst import FIRST, HELD
from .contenders import POOLS, PYREQWEST
from .imports import IMPORT
from .waiting import CORE, WAITING

TO_PEER = "to the fastest peer on the same loop"
TO_BARE = "to bare libcurl"


def _at_least(title: str, must: float, aim: float, reach: Reach) -> Goal:
    return Goal(title, "x", must, aim, reach, at_least=True)


def _at_most(title: str, must: float, aim: float, reach: Reach) -> Goal:
    return Goal(title, "x", must, aim, reach)


ROWS = (
    Row(
        "50",
        "50 in flight, plain HTTP",
        (load.FIFTY,),
        (
            _at_least(TO_PEER, 4, 5, to_peer(load.FIFTY, "rate")),
            _at_least(TO_BARE, 0.85, 1.05, to_bare(load.FIFTY, "rate")),
        ),
        POOLS,
    ),
    Row(
        "1000",
        "1,000 in flight",
        (load.THOUSAND,),
        (_at_least(TO_PEER, 3.5, 4.5, to_peer(load.THOUSAND, "rate")),),
        POOLS,
    ),
    Row(
        "tls",
        "TLS, 50 in flight",
        (load.TLS,),
        (
            _at_least(TO_PEER, 2.3, 3, to_peer(load.TLS, "rate")),
            _at_least(TO_BARE, 0.6, 0.75, to_bare(load.TLS, "rate")),
        ),
        POOLS,
    ),
    Row(
        "one",
        "one in flight, P50",
        (load.ONE,),
        (_at_most("to pyreqwest's", 0.9, 0.7, to_peer(load.ONE, "p50", PYREQWEST)),),
        POOLS,
    ),
    Row(
        "held",
        "10,000 calls held open for 1 s each",
        (HELD,),
        (
            _at_most("time to the fastest peer's", 1, 0.7, to_peer(HELD, "wall")),
            _at_most("its CPU", 0.85, 1 / 3, to_peer(HELD, "cpu_total")),
            _at_most("its peak RSS", 0.5, 1 / 3, to_peer(HELD, "peak")),
        ),
        POOLS,
    ),
    Row(
        "burst",
        "a burst of 10,000 submissions",
        (FIRST,),
        (Goal("first request arrives", "ms", 5, 1, itself(FIRST, "arrival", 1e3)),),
        POOLS,
    ),
    Row(
        "cpu",
        "CPU a request from 1 to 10,000 in flight",
        load.SWEEP,
        (_at_most("most growth from any to a higher number", 1.5, 1.1, growth(load.SWEEP, "cpu")),),
        POOLS,
    ),
    Row(
        "import",
        "import holysheep",
        (IMPORT,),
        (
            Goal("", "ms", 15, 8, itself(IMPORT, "alone", 1e3), digits=1),
            Goal("its pool, after asyncio", "ms", 15, 8, itself(IMPORT, "used", 1e3), digits=1),
            Goal("of httpx and aiohttp loaded", "", 0, 0, itself(IMPORT, "foreign"), digits=0),
        ),
        IMPORT.ours,
    ),
    Row(
        "waiting",
        "a waiting call in the core",
        (WAITING,),
        (
            Goal("with its body", "bytes", 2048, 512, itself(WAITING, "heap"), digits=0),
            Goal(
                "to cancel one of 100,000, to one of 1,000",
                "x",
                2,
                None,
                quotient(WAITING, "cancel_long", "cancel_short"),
            ),
        ),
        CORE,
    ),
)
