"""The command line: `holysheep gateway`, `holysheep demo`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Optional


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {number}")
    return number


def _parser() -> argparse.ArgumentParser:
    from ._core import version

    parser = argparse.ArgumentParser(prog="holysheep", description=__doc__)
    parser.add_argument("--version", action="version", version=f"holysheep {version}")
    commands = parser.add_subparsers(dest="command", required=True)
    gateway = commands.add_parser("gateway", help="serve OpenAI-shaped replies on loopback")
    gateway.add_argument("--host", default="127.0.0.1")
    gateway.add_argument("--port", type=_port, default=0, help="0: a free one (default)")
    gateway.add_argument("--base", type=float, default=0.02, help="seconds a reply, at least")
    gateway.add_argument("--per-token", type=float, default=0.0, help="seconds a token")
    gateway.add_argument("--jitter", type=float, default=0.2, help="spread of both, 0 to 1")
    gateway.add_argument("--seed", type=int, default=0, help="of the jitter")
    gateway.add_argument("--api-key", help="the key that requests must bear")
    gateway.add_argument("--requests-per-minute", type=int, help="more are answered with 429")
    commands.add_parser("demo", help="the article's usage and a comparison, on such a gateway")
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    from .gateway.latency import LatencyModel
    from .gateway.limits import RequestLimit
    from .gateway.server import Gateway, serve

    latency = LatencyModel(arguments.base, arguments.per_token, arguments.jitter)
    per_minute = arguments.requests_per_minute
    limit = None if per_minute is None else RequestLimit(per_minute)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateway = Gateway(latency, arguments.seed, arguments.api_key, limit)
    await serve(gateway, arguments.host, arguments.port, stop)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs a command; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "demo":
            from .demo import main as demo

            asyncio.run(demo())
        else:
            asyncio.run(_serve(given))
    except ImportError as error:
        extra = "demo" if given.command == "demo" else "gateway"
        print(f'holysheep: {error}; pip install "holysheep[{extra}]"', file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{given.host}: " if given.command == "gateway" else ""
        print(f"holysheep: {where}{error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"holysheep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
