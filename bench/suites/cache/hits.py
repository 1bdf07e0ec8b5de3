"""Hits from Python: `await chat_completion(...)` whose reply is there already."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys

from ...model import Case, Figures, Metric, Settings
from ...runner import run_program
from .contenders import BY_HAND, CONTENDERS, OURS, PEERS
from .worker import Task

HIT = Metric("hit", "a hit us", 1e6, 2)
LEAST = Metric("least", "at best us", 1e6, 2)


def measure_hit(prompt: str, beside: str, name: str, settings: Settings) -> Figures:
    """One contender in a process of its own; ours with `beside`, taking turns."""
    with CONTENDERS[name].serve() as url:
        task = Task(name, url, prompt, settings.seconds, beside if name == OURS else "")
        argument = json.dumps(dataclasses.asdict(task))
        command = [sys.executable, "-m", "bench.suites.cache.worker", argument]
        return run_program(command, "", settings.limit)


def _long(prompt: str, title: str) -> Case:
    return Case(
        prompt,
        f"a hit with {title}, and the same by hand in the same process",
        (OURS,),
        (
            HIT,
            LEAST,
            Metric("by_hand", "by hand us", 1e6, 1),
            Metric("ratio", "by hand / hit", 1, 2),
        ),
        functools.partial(measure_hit, prompt, BY_HAND),
    )


SHORT = Case(
    "short",
    "a hit: 0.2 KB request, 0.6 KB reply, a fresh dict",
    (OURS,),
    (HIT, LEAST),
    functools.partial(measure_hit, "short", ""),
    tuple(PEERS),
    BY_HAND,
    packages=PEERS,
)
ASCII = _long("ascii", "a prompt of 32 KB, ASCII")
VIETNAMESE = _long("vietnamese", "a prompt of 32K characters, Vietnamese")
