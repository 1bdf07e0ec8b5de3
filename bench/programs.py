"""The programs of the bench in C, compiled once into build/bench."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = ROOT / "build" / "bench"
C_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion")


def bare() -> Path:
    """The bare libcurl loop."""
    sources = [HERE / "bare/bare.c"]
    command = ["cc", *C_FLAGS, *_names(sources), *_pkg_config("libcurl")]
    return _compiled("bare", command, sources)


def waiting() -> Path:
    """The program that queues calls in the core, which is linked in."""
    core = ROOT / "core"
    listed = [core / name for name in (core / "sources.txt").read_text().split()]
    sources = [HERE / "waiting/waiting.c", *listed]
    include = ROOT / "include"
    command = ["cc", *C_FLAGS, f"-I{include}", *_names(sources)]
    command += [*_pkg_config("libcurl", "libuv"), "-lpthread"]
    return _compiled("waiting", command, [*sources, *core.glob("*.h"), *include.glob("*.h")])


def _names(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


def _pkg_config(*packages: str) -> list[str]:
    command = ["pkg-config", "--cflags", "--libs", *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _compiled(name: str, command: list[str], sources: Iterable[Path]) -> Path:
    """build/bench/NAME, made again when a source is newer."""
    binary = BUILT / name
    newest = max(source.stat().st_mtime for source in sources)
    if not binary.exists() or binary.stat().st_mtime < newest:
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, "-o", str(binary)], check=True)
    return binary
