"""Builds the extension with the core linked in; see pyproject.toml for the rest."""

import os
import re
import subprocess
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).parent


def pkg_config(option: str) -> list[str]:
    """What pkg-config says of libcurl and libuv."""
    command = ["pkg-config", option, "libcurl >= 7.80", "libuv >= 1.44"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def version() -> str:
    found = re.search(r'SHEEP_VERSION "(.+)"', (HERE / "core/version.h").read_text())
    assert found
    return found.group(1)


sources = [f"core/{name}" for name in (HERE / "core/sources.txt").read_text().split()]
flags = ["-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"]
warnings = ["-Wall", "-Wextra", "-Wshadow"] + os.environ.get("HOLYSHEEP_CFLAGS", "").split()

setup(
    version=version(),
    ext_modules=[
        Extension(
            "holysheep._core",
            sources=["python/holysheep/_core/module.c", *sources],
            include_dirs=["include"],
            extra_compile_args=[*flags, *warnings, *pkg_config("--cflags")],
            extra_link_args=[*pkg_config("--libs"), "-lpthread", *os.environ.get("HOLYSHEEP_LDFLAGS", "").split()],
        )
    ],
)
