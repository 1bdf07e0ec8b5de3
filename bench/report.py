"""Prints results as tables, for a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import rich.box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .goals import Goal, Row
from .model import Case, Metric, Results

STYLES = {"aim": "bold green", "must": "green", "short": "bold red"}
LEAST_WIDTH = 100  # of a terminal, and of what is no terminal


class Report:
    """Where the tables go, and how they look."""

    def __init__(self, markdown: bool) -> None:
        self._markdown = markdown
        width = 200 if markdown else max(Console().width, LEAST_WIDTH)
        self._console = Console(width=width, no_color=True if markdown else None)

    def line(self, text: str = "") -> None:
        self._console.print(escape(text), highlight=False)

    def case(self, case: Case, results: Results) -> None:
        """One line for each client: medians, spread of the first, its ratios to others."""
        table = self._table(case.title, "client")
        references = _references(case, results)
        for metric in case.metrics:
            table.add_column(metric.title, justify="right")
        for title in references:
            table.add_column(title, justify="right")
        for client in case.clients:
            if results.values(case, client, case.metrics[0].name):
                table.add_row(*_cells(case, client, references, results))
        self._show(table)
        for client, reason in results.failures.get(case.name, {}).items():
            self.line(f"{client}: {reason}")
        self.line()

    def goals(self, rows: Sequence[Row], results: Results) -> None:
        """The promises: what must be reached, what is hoped for, what was reached."""
        table = self._table("What must be reached, and is", "case")
        titles = ("must", "aim", "reached", "on uvloop")
        for title in titles[: 2 + max(len(row.ours) for row in rows)]:
            table.add_column(title, justify="right")
        for row in rows:
            for goal in row.goals:
                table.add_row(*self._goal_cells(row, goal, results))
        self._show(table)

    def _goal_cells(self, row: Row, goal: Goal, results: Results) -> list[str]:
        title = f"{row.title}: {goal.title}" if goal.title else row.title
        cells = [title, _amount(goal.must, goal)]
        cells.append("" if goal.aim is None else _amount(goal.aim, goal))
        return cells + [self._reached(goal, goal.reach(results, client)) for client in row.ours]

    def _reached(self, goal: Goal, reached: Optional[float]) -> str:
        if reached is None:
            return "not measured"
        verdict = goal.verdict(reached)
        word = verdict if self._markdown else f"[{STYLES[verdict]}]{verdict}[/]"
        return f"{_amount(reached, goal)}  {word}"

    def _table(self, title: str, first: str) -> Table:
        self.line(f"**{title}**" if self._markdown else title)
        if self._markdown:
            self.line()
        box = rich.box.MARKDOWN if self._markdown else rich.box.SIMPLE_HEAD
        table = Table(box=box)
        table.add_column(first)
        return table

    def _show(self, table: Table) -> None:
        self._console.print(table)


def _amount(value: float, goal: Goal) -> str:
    return f"{value:,.{goal.digits}f} {goal.unit}".strip()


def _references(case: Case, results: Results) -> dict[str, Optional[float]]:
    """What the first metric is compared with: a column's title and a median."""
    metric = case.metrics[0].name
    references = {}
    if case.peers:
        fastest = results.fastest_peer(case)
        references["/ peer"] = results.median(case, fastest, metric) if fastest else None
    if case.bare:
        references["/ bare"] = results.median(case, case.bare, metric)
    return references


def _cells(
    case: Case, client: str, references: dict[str, Optional[float]], results: Results
) -> list[str]:
    own = results.median(case, client, case.metrics[0].name)
    cells = [client, *(_figure(case, client, metric, results) for metric in case.metrics)]
    spread = results.spread(case, client, case.metrics[0].name)
    if spread is not None:
        cells[1] += f" ±{spread / 2:.0%}"
    for reference in references.values():
        cells.append(f"{own / reference:.2f}" if own is not None and reference else "")
    return cells


def _figure(case: Case, client: str, metric: Metric, results: Results) -> str:
    value = results.median(case, client, metric.name)
    return "" if value is None else f"{value * metric.scale:,.{metric.digits}f}"
