"""What it takes to import a client."""

from __future__ import annotations

from ...model import Case, Figures, Metric, Settings
from ...runner import run_python

IMPORTS = {
    "HolySheepPool": ("holysheep", "from holysheep import HolySheepPool"),
    "pyreqwest": ("pyreqwest", "from pyreqwest.client import ClientBuilder"),
    "pyqwest": ("pyqwest", "from pyqwest import Client"),
    "aiohttp": ("aiohttp", "from aiohttp import ClientSession"),
    "curl_cffi": ("curl_cffi", "from curl_cffi.requests import AsyncSession"),
    "niquests": ("niquests", "from niquests import AsyncSession"),
    "httpx2": ("httpx2", "from httpx2 import AsyncClient"),
    "httpx": ("httpx", "from httpx import AsyncClient"),
    "openai": ("openai", "from openai import AsyncOpenAI"),
}
TIMED = """
import json, sys, time
{before}
started = time.perf_counter()
{statement}
elapsed = time.perf_counter() - started
foreign = [name for name in ("aiohttp", "httpx", "httpcore") if name in sys.modules]
print(json.dumps({{"{name}": elapsed, "foreign": len(foreign)}}))
"""


def measure_import(client: str, settings: Settings) -> Figures:
    """The import alone; and that of the client's class where asyncio is loaded already."""
    package, use = IMPORTS[client]
    alone = TIMED.format(before="", statement=f"import {package}", name="alone")
    used = TIMED.format(before="import asyncio", statement=use, name="used")
    return {**run_python(alone, settings.limit), **run_python(used, settings.limit)}


IMPORT = Case(
    "import",
    "import of a package; of its client, after asyncio; how many of aiohttp, httpx, httpcore come",
    ("HolySheepPool",),
    (
        Metric("alone", "import ms", 1e3, 1),
        Metric("used", "client ms", 1e3, 1),
        Metric("foreign", "foreign"),
    ),
    measure_import,
    tuple(name for name in IMPORTS if name != "HolySheepPool"),
)
