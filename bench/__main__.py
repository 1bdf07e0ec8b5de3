"""The command line: `python -m bench pool`, `python -m bench cache`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import pkgutil
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from . import suites
from .clients import CLIENTS, PEER
from .goals import Row
from .limits import WANTED, raise_descriptor_limit
from .measure import measure_all, version_of
from .model import Case, Results, Settings
from .report import Report
from .servers import make_certificate

TRACES = Path(__file__).parent / "data"


def _parser() -> argparse.ArgumentParser:
    names = [module.name for module in pkgutil.iter_modules(suites.__path__)]
    parser = argparse.ArgumentParser(prog="./run bench", description="Measures holysheep.")
    parser.add_argument("name", nargs="?", choices=names, default="pool", help="what to measure")
    parser.add_argument("--runs", type=int, help="measurements of each client (default 5)")
    parser.add_argument("--quick", action="store_true", help="a rough look: fewer, shorter runs")
    parser.add_argument("--only", action="append", metavar="ROW", help="may be repeated")
    parser.add_argument("--peers", metavar="LIST", help="packages; default all")
    parser.add_argument("--traces", type=Path, metavar="FOLDER", help="of NAME.u32.gz, for cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    return parser


def choose_rows(parser: argparse.ArgumentParser, given: argparse.Namespace) -> list[Row]:
    """The rows of the bench, or those asked for."""
    rows: Sequence[Row] = importlib.import_module(f"{suites.__name__}.{given.name}").ROWS
    if not given.only:
        return list(rows)
    names = [row.name for row in rows]
    for name in given.only:
        if name not in names:
            parser.error(f"--only {name}: expected one of {', '.join(names)}")
    return [row for row in rows if row.name in given.only]


def cases_of(rows: Sequence[Row]) -> list[Case]:
    """What the rows need, each once."""
    return list({case.name: case for row in rows for case in row.cases}.values())


def package_of(case: Case, client: str) -> str:
    """The distribution that a client of a case needs, "" when it's no peer's."""
    known = CLIENTS.get(client)
    default = known.package if known and known.kind == PEER else ""
    return case.packages.get(client, default)


def packages_of(cases: Sequence[Case]) -> list[str]:
    """All that the cases' peers need."""
    needed = {package_of(case, client) for case in cases for client in case.clients}
    return sorted(needed - {""})


def choose_clients(
    parser: argparse.ArgumentParser, given: argparse.Namespace, cases: Sequence[Case]
) -> list[str]:
    """The clients that take part: all that are installed, or the peers asked for."""
    packages = packages_of(cases)
    named = given.peers.split(",") if given.peers is not None else packages
    wanted = list(filter(None, named))
    for package in wanted:
        if package not in packages:
            parser.error(f"--peers {package}: expected some of {', '.join(packages)}")
    present = {"", *(package for package in wanted if version_of(package))}
    return [name for case in cases for name in case.clients if package_of(case, name) in present]


def settings_of(given: argparse.Namespace, folder: str) -> Settings:
    """How to measure, by the options."""
    traces = given.traces or TRACES
    settings = Settings(make_certificate(Path(folder)), traces=traces)
    if given.quick:
        settings = dataclasses.replace(settings, runs=1, seconds=0.2, share=0.2, limit=6)
    return dataclasses.replace(settings, runs=given.runs or settings.runs)


def machine(cases: Sequence[Case]) -> dict[str, str]:
    """What the figures depend on."""
    packages = [*packages_of(cases), "uvloop", "holysheep"]
    versions = {package: version_of(package) for package in packages}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        **{name: version for name, version in versions.items() if version},
    }


def show(report: Report, rows: Sequence[Row], results: Results, settings: Settings) -> None:
    """All tables, the promises last."""
    cases = cases_of(rows)
    report.line(", ".join(f"{name} {value}" for name, value in machine(cases).items()))
    report.line(f"Medians of {settings.runs}, half of the spread behind ±.")
    if settings.share < 1:
        report.line(f"A quick look: {settings.share:.0%} of the calls where there are thousands.")
    report.line()
    for case in cases:
        report.case(case, results)
    report.goals(rows, results)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Measures and prints; the exit status is 1 when one of our clients failed."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.runs is not None and given.runs < 1:
        parser.error("--runs: expected 1 or more")
    rows = choose_rows(parser, given)
    cases = cases_of(rows)
    clients = choose_clients(parser, given, cases)
    if raise_descriptor_limit() < WANTED:
        print(f"bench: {WANTED:,} open files are needed: ulimit -n", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="holysheep-bench-") as folder:
        settings = settings_of(given, folder)
        results = measure_all(cases, settings, clients)
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine(cases), **dataclasses.asdict(results)})
        )
    show(Report(given.markdown), rows, results, settings)
    return int(any(results.failed(case, ours) for case in cases for ours in case.ours))


if __name__ == "__main__":
    sys.exit(main())
