"""Runs one measurement in a process of its own, which starts from nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from .model import Figures
from .worker import Task

ROOT = Path(__file__).parent.parent
# Proxies and certificates of the caller's environment would change what is measured.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "GOFLAGS")


class MeasurementFailed(Exception):
    """A measurement gave no figures; the message says why in one line."""


def run_worker(task: Task, limit: float) -> Figures:
    """Measures a Python client; see worker.py."""
    command = [sys.executable, "-m", "bench.worker", json.dumps(dataclasses.asdict(task))]
    return run_program(command, "", limit)


def run_python(code: str, limit: float) -> Figures:
    """Runs code that prints figures as JSON, in a fresh interpreter."""
    return run_program([sys.executable, "-c", code], "", limit)


def run_program(command: Sequence[Union[str, Path]], given: str, limit: float) -> Figures:
    """Runs a program that prints figures as one line of JSON.

    given: its standard input. limit: seconds after which it is stopped.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    try:
        ended = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=limit,
            cwd=ROOT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"not done after {limit:.0f} s") from None
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise MeasurementFailed(lines[-1][:160])
    figures: Figures = json.loads(ended.stdout)
    return figures
