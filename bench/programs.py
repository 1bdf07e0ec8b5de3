"""The programs of the bench in C, compiled into build/bench, again when a source changes."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = ROOT / "build" / "bench"
LIBRARY = BUILT / "library"
NEEDED = ("libcurl", "libuv", "libxxhash", "libcrypto", "libcjson")
C_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion")


@functools.cache
def bare() -> Path:
    """The bare libcurl loop."""
    return _compiled("bare", "libcurl")


@functools.cache
def waiting() -> Path:
    """The program that queues calls in the core, over the library's public interface."""
    _build_library("shared")
    return _compiled("waiting", "holysheep", f"-Wl,-rpath,{LIBRARY}")


@functools.cache
def look_up() -> Path:
    """The program that looks up entries in the cache's store."""
    return _inside("look_up", HERE / "cache/look_up.c", HERE / "cache/orders.h")


@functools.cache
def trace_sim() -> Path:
    """The program that replays a trace against the cache's store."""
    folder = ROOT / "tests/c/store"
    return _inside("trace_sim", folder / "trace_sim.c", folder / "replay.c", folder / "replay.h")


def _build_library(kind: str) -> None:
    if not (LIBRARY / "build.ninja").exists():
        _run("meson", "setup", str(LIBRARY), str(ROOT), "--buildtype=release")
    _run("meson", "compile", "-C", str(LIBRARY), f"holysheep:{kind}_library")


def _compiled(name: str, package: str, *flags: str) -> Path:
    """build/bench/NAME from NAME/NAME.c and a library that pkg-config knows."""
    source, binary = HERE / name / f"{name}.c", BUILT / name
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        options = _run("pkg-config", "--cflags", "--libs", package).split()
        _run("cc", *C_FLAGS, str(source), "-o", str(binary), *flags, *options)
    return binary


def _inside(name: str, *sources: Path) -> Path:
    """build/bench/NAME from its sources and headers; it uses what the library doesn't export."""
    _build_library("static")
    archive, binary = LIBRARY / "libholysheep.a", BUILT / name
    newest = max(path.stat().st_mtime for path in (archive, *sources))
    if not binary.exists() or binary.stat().st_mtime < newest:
        linked = [str(path) for path in (*sources, archive) if path.suffix != ".h"]
        options = _run("pkg-config", "--cflags", "--libs", *NEEDED).split()
        include = (f"-I{ROOT / 'core'}", f"-I{ROOT / 'include'}")
        _run("cc", *C_FLAGS, *include, *linked, "-o", str(binary), *options, "-lm", "-lpthread")
    return binary


def _run(*command: str) -> str:
    """What the command prints; its complaints pass through."""
    # Where meson describes a library that isn't installed.
    known = {**os.environ, "PKG_CONFIG_PATH": str(LIBRARY / "meson-uninstalled")}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=known)
    return ended.stdout
