"""Who takes part in which case, and what is noted of them."""

from __future__ import annotations

from ...clients import BARE, CLIENTS, OURS, PEER
from ...model import Metric

MANY = 10_000  # calls held open, or started at once

POOLS = tuple(name for name, client in CLIENTS.items() if client.kind == OURS)
PEERS = tuple(name for name, client in CLIENTS.items() if client.kind == PEER)
BARE_LOOP = next(name for name, client in CLIENTS.items() if client.kind == BARE)
PYREQWEST = tuple(name for name in PEERS if CLIENTS[name].package == "pyreqwest")
# The others take minutes for ten thousand calls at a time.
FASTEST = (*PYREQWEST, "aiohttp, uvloop")
FAST = (*FASTEST, "pyqwest, uvloop")

PEAK = Metric("peak", "RSS MiB", 2**-20)
