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
C_FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion")


@functools.cache
def bare() -> Path:
    """The bare libcurl loop."""
    return _compiled("bare", "libcurl")


@functools.cache
def waiting() -> Path:
    """The program that queues calls in the core, over the library's public interface."""
    if not (LIBRARY / "build.ninja").exists():
        _run("meson", "setup", str(LIBRARY), str(ROOT), "--buildtype=release")
    _run("meson", "compile", "-C", str(LIBRARY), "holysheep:shared_library")
    return _compiled("waiting", "holysheep", f"-Wl,-rpath,{LIBRARY}")


def _compiled(name: str, package: str, *flags: str) -> Path:
    """build/bench/NAME from NAME/NAME.c and a library that pkg-config knows."""
    source, binary = HERE / name / f"{name}.c", BUILT / name
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        options = _run("pkg-config", "--cflags", "--libs", package).split()
        _run("cc", *C_FLAGS, str(source), "-o", str(binary), *flags, *options)
    return binary


def _run(*command: str) -> str:
    """What the command prints; its complaints pass through."""
    # Where meson describes a library that isn't installed.
    known = {**os.environ, "PKG_CONFIG_PATH": str(LIBRARY / "meson-uninstalled")}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=known)
    return ended.stdout
