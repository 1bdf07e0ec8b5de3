"""How a client is loaded: so many calls kept in flight, or all started at once."""

from __future__ import annotations

import asyncio
import resource
import time
from array import array
from pathlib import Path

from .clients import Call


def cpu_seconds() -> float:
    """CPU of this process so far, user and system, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes() -> int:
    """The largest resident set of this program.

    VmHWM and not ru_maxrss, which survives exec and so would be the parent's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status: no VmHWM")


async def keep_in_flight(call: Call, in_flight: int, seconds: float) -> array[float]:
    """Makes calls, `in_flight` at a time, for so long; gives the seconds each took.

    Each of the `in_flight` makes one at least.
    """
    latencies = array("d")
    clock = time.perf_counter
    deadline = clock() + seconds

    async def one_after_another() -> None:
        started = clock()
        while True:
            await call()
            ended = clock()
            latencies.append(ended - started)
            if ended >= deadline:
                return
            started = ended

    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
    return latencies


def percentile(values: array[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure_load(
    call: Call, in_flight: int, warm_seconds: float, seconds: float
) -> dict[str, float]:
    """Rate, CPU a call, latencies, once all connections are open."""
    await keep_in_flight(call, in_flight, warm_seconds)
    cpu, started = cpu_seconds(), time.perf_counter()
    latencies = await keep_in_flight(call, in_flight, seconds)
    elapsed, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    return {
        "rate": len(latencies) / elapsed,
        "cpu": cpu / len(latencies),
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "peak": peak_bytes(),
    }


async def measure_burst(call: Call, calls: int) -> dict[str, float]:
    """Starts all calls at once and waits for them all; none may fail."""
    cpu, started = cpu_seconds(), time.perf_counter()
    replies = await asyncio.gather(*(call() for _ in range(calls)), return_exceptions=True)
    elapsed, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    failures = [reply for reply in replies if isinstance(reply, BaseException)]
    if failures:
        first = f"{type(failures[0]).__name__} {failures[0]}"
        raise RuntimeError(f"{len(failures):,} of {calls:,} failed: {first}")
    return {"wall": elapsed, "cpu_total": cpu, "peak": peak_bytes()}


async def measure_submissions(call: Call, calls: int, patience: float) -> dict[str, float]:
    """Starts all calls at once; gives when the first and the last began (CLOCK_MONOTONIC).

    patience: seconds until the calls are cancelled; they need not be answered.
    """
    moments: list[float] = []

    async def one() -> None:
        moments.append(time.monotonic())
        await call()

    tasks = [asyncio.ensure_future(one()) for _ in range(calls)]
    await asyncio.sleep(patience)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"first_submission": moments[0], "last_submission": moments[-1]}
