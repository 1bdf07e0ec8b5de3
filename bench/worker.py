"""A process that measures one client once: `python -m bench.worker JSON`.

The argument is a Task; the answer is one line of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Optional

from .clients import CLIENTS, Target, load_module
from .load import measure_burst, measure_load, measure_submissions

LOAD, BURST, SUBMISSIONS = "load", "burst", "submissions"


@dataclass(frozen=True)
class Task:
    """What to measure.

    client: a key of CLIENTS.
    mode: LOAD keeps `in_flight` calls going for `seconds`, after `warm_seconds` that don't
        count; BURST starts so many at once and waits for them; SUBMISSIONS starts them and
        cancels them after `seconds`.
    """

    client: str
    base_url: str
    in_flight: int
    mode: str = LOAD
    ca_file: Optional[str] = None
    warm_seconds: float = 0.2
    seconds: float = 1.0


async def perform(task: Task) -> dict[str, float]:
    """Opens the client and loads it."""
    target = Target(task.base_url, task.in_flight, task.ca_file)
    opener = CLIENTS[task.client].open
    assert opener is not None
    async with opener(target) as call:
        if task.mode == BURST:
            return await measure_burst(call, task.in_flight)
        if task.mode == SUBMISSIONS:
            return await measure_submissions(call, task.in_flight, task.seconds)
        return await measure_load(call, task.in_flight, task.warm_seconds, task.seconds)


def run(work: Coroutine[Any, Any, dict[str, float]], uvloop: bool) -> dict[str, float]:
    """Runs to the end on the loop asked for."""
    if not uvloop:
        return asyncio.run(work)
    result: dict[str, float] = load_module("uvloop").run(work)
    return result


if __name__ == "__main__":
    given = Task(**json.loads(sys.argv[1]))
    print(json.dumps(run(perform(given), CLIENTS[given.client].uvloop)), flush=True)
    # Some clients' threads abort the interpreter's own way out; nothing is measured there.
    os._exit(0)
