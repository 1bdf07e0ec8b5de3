"""Calls kept in flight: how many a second, how soon, at what cost."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Union

from ... import payload, programs, servers
from ...clients import PATH
from ...model import Case, Figures, Metric, Settings
from ...runner import run_program, run_worker
from ...worker import Task
from .contenders import BARE_LOOP, FASTEST, MANY, PEAK, PEERS, POOLS

RATE = Metric("rate", "requests/s", most_is_best=True)
CPU = Metric("cpu", "CPU us", 1e6, 1)
P50 = Metric("p50", "P50 ms", 1e3, 3)
P99 = Metric("p99", "P99 ms", 1e3, 3)


def measure_load(in_flight: int, secure: bool, client: str, settings: Settings) -> Figures:
    """A client against nginx, on connections that are open already."""
    in_flight = settings.scaled(in_flight) if in_flight == MANY else in_flight
    certificate = settings.certificate if secure else None
    ca_file = certificate.ca_file if certificate else None
    with servers.nginx(certificate) as base_url:
        if client == BARE_LOOP:
            times = (str(settings.warm_seconds), str(settings.seconds))
            command: list[Union[str, Path]] = [
                programs.bare(),
                base_url + PATH,
                str(in_flight),
                *times,
            ]
            command += [ca_file] if ca_file else []
            return run_program(command, json.dumps(payload.request()), settings.limit)
        task = Task(
            client,
            base_url,
            in_flight,
            ca_file=ca_file,
            warm_seconds=settings.warm_seconds,
            seconds=settings.seconds,
        )
        return run_worker(task, settings.limit)


def load_case(
    in_flight: int,
    peers: tuple[str, ...],
    metrics: tuple[Metric, ...] = (RATE, CPU, P50, P99, PEAK),
    secure: bool = False,
) -> Case:
    kind = "TLS" if secure else "plain HTTP"
    return Case(
        f"{'tls' if secure else 'plain'}-{in_flight}",
        f"{in_flight:,} in flight, {kind}, JSON both ways",
        POOLS,
        metrics,
        functools.partial(measure_load, in_flight, secure),
        peers,
        BARE_LOOP,
        programs.bare,
    )


ONE = load_case(1, PEERS, (P50, P99, CPU, RATE, PEAK))
TEN = load_case(10, FASTEST)
FIFTY = load_case(50, PEERS)
HUNDRED = load_case(100, FASTEST)
THOUSAND = load_case(1_000, PEERS)
TEN_THOUSAND = load_case(MANY, FASTEST)
TLS = load_case(50, PEERS, secure=True)

SWEEP = (ONE, TEN, HUNDRED, THOUSAND, TEN_THOUSAND)
