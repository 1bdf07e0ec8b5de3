"""Measures cases: clients take turns (A B C A B C ...), so that noise hits all alike."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .model import Case, Results, Settings
from .runner import MeasurementFailed


def progress_bar() -> Progress:
    """A bar that is drawn between measurements only: drawing would disturb them."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    return Progress(*columns, console=console, auto_refresh=False, transient=True)


def measure_all(cases: Sequence[Case], settings: Settings, chosen: Iterable[str]) -> Results:
    """Measures each case `settings.runs` times for those of its clients that are chosen."""
    results = Results()
    for case in cases:
        case.prepare()
    wanted = set(chosen)
    with progress_bar() as progress:
        total = sum(len(wanted.intersection(case.clients)) for case in cases) * settings.runs
        bar = progress.add_task("", total=total)
        for case in cases:
            turns = [name for name in case.clients if name in wanted] * settings.runs
            for client in turns:
                progress.update(bar, description=f"{case.title}: {client}", refresh=True)
                _measure_once(case, client, settings, results)
                progress.advance(bar)
    return results


def _measure_once(case: Case, client: str, settings: Settings, results: Results) -> None:
    """One turn. A client that failed is left out of the case from then on."""
    if results.failed(case, client):
        return
    try:
        results.add(case, client, case.measure(client, settings))
    except MeasurementFailed as reason:
        results.fail(case, client, str(reason))


def version_of(package: str) -> str:
    """The installed version of a distribution, "" when it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
