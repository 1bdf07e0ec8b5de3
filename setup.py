"""Builds the extension with the core linked in; see pyproject.toml for the rest."""

import os
import re
import subprocess
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).parent


def pkg_config(option: str) -> list[str]:
    """What pkg-config says of the core's libraries."""
    needed = (
        "libcurl >= 7.80",
        "libuv >= 1.44",
        "libxxhash >= 0.8.0",
        "libcrypto >= 1.1.1",
        "libcjson >= 1.7.13",
    )
    command = ["pkg-config", option, *needed]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def from_environment(name: str) -> list[str]:
    """Flags for a special build, such as one with sanitizers."""
    return os.environ.get(name, "").split()


def version() -> str:
    """The library's version, which stands in one place only."""
    found = re.search(r'SHEEP_VERSION "(.+)"', (HERE / "core/version.h").read_text())
    assert found
    return found.group(1)


core = [f"core/{name}" for name in (HERE / "core/sources.txt").read_text().split()]
extension = sorted(str(path.relative_to(HERE)) for path in HERE.glob("python/holysheep/_core/*.c"))
flags = ["-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow"]

setup(
    version=version(),
    ext_modules=[
        Extension(
            "holysheep._core",
            sources=[*extension, *core],
            include_dirs=["include"],
            extra_compile_args=[
                *flags,
                *pkg_config("--cflags"),
                *from_environment("HOLYSHEEP_CFLAGS"),
            ],
            extra_link_args=[
                *pkg_config("--libs"),
                "-lpthread",
                *from_environment("HOLYSHEEP_LDFLAGS"),
            ],
        )
    ],
)
