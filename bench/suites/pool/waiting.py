"""What a call costs the core while it waits for a connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Union

from ... import payload, programs, servers
from ...model import Case, Figures, Metric, Settings
from ...runner import run_program

SHORT_QUEUE, LONG_QUEUE = 1_000, 100_000  # calls


def measure_waiting(_client: str, settings: Settings) -> Figures:
    """Calls queued in the core behind one that is never answered."""
    short, long = settings.scaled(SHORT_QUEUE), settings.scaled(LONG_QUEUE)
    with servers.silent() as server:
        command: list[Union[str, Path]] = [
            programs.waiting(),
            server.base_url,
            str(short),
            str(long),
        ]
        return run_program(command, json.dumps(payload.request()), settings.limit)


CORE = ("core",)
WAITING = Case(
    "waiting",
    f"a call that waits, of {LONG_QUEUE:,}; cancelling one of {SHORT_QUEUE:,} and of so many",
    CORE,
    (
        Metric("heap", "heap bytes"),
        Metric("heap_without_body", "without body"),
        Metric("resident", "RSS bytes"),
        Metric("submit", "submit CPU us", 1e6, 2),
        Metric("cancel_short", "cancel CPU us, short", 1e6, 2),
        Metric("cancel_long", "cancel CPU us, long", 1e6, 2),
    ),
    measure_waiting,
    prepare=programs.waiting,
)
