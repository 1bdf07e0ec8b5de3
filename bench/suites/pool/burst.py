"""Calls started all at once: when the first leaves, and what holding them open costs."""

from __future__ import annotations

from ... import servers
from ...model import Case, Figures, Metric, Settings
from ...runner import MeasurementFailed, run_worker
from ...worker import BURST, SUBMISSIONS, Task
from .contenders import FAST, MANY, PEAK, POOLS, PYREQWEST

HOLD_SECONDS = 1
ARRIVAL_PATIENCE = 1.0  # seconds from the first submission


def measure_held(client: str, settings: Settings) -> Figures:
    """All calls at once, each answered after HOLD_SECONDS."""
    with servers.nginx(delay=HOLD_SECONDS) as base_url:
        task = Task(client, base_url, settings.scaled(MANY), BURST)
        return run_worker(task, settings.limit)


def measure_first_arrival(client: str, settings: Settings) -> Figures:
    """From the first of many submissions to the first byte at the server, and to the last."""
    with servers.silent() as server:
        task = Task(
            client, server.base_url, settings.scaled(MANY), SUBMISSIONS, seconds=ARRIVAL_PATIENCE
        )
        figures = run_worker(task, settings.limit)
        if server.first_byte is None:
            raise MeasurementFailed(f"no request arrived within {ARRIVAL_PATIENCE:.0f} s")
        first = figures["first_submission"]
        return {"arrival": server.first_byte - first, "all": figures["last_submission"] - first}


HELD = Case(
    "held",
    f"{MANY:,} calls held open for {HOLD_SECONDS} s each, none failed",
    POOLS,
    (Metric("wall", "s", 1, 2), Metric("cpu_total", "CPU s", 1, 2), PEAK),
    measure_held,
    FAST,
)
FIRST = Case(
    "burst",
    f"{MANY:,} submissions in one go",
    POOLS,
    (
        Metric("arrival", "first arrival ms", 1e3, 2),
        Metric("all", "all started ms", 1e3, 1),
    ),
    measure_first_arrival,
    PYREQWEST,
)
