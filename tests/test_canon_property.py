"""The canonical request, byte for byte against Python's own json, on random requests."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
SOURCES = ("alloc", "buf", "canon", "error", "escape", "hash")

UNLABELLED = 1
INVALID = -2

LEFT_OUT = ("stream", "stream_options")
LABELS = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "store")
KEPT_IN_ORDER = ("tools", "functions", "response_format")


class Buf(ctypes.Structure):
    """core/buf.h's buf."""

    _fields_ = (
        ("data", ctypes.POINTER(ctypes.c_char)),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
    )


class Error(ctypes.Structure):
    """include/holysheep.h's sheep_error."""

    _fields_ = (("code", ctypes.c_int32), ("message", ctypes.c_char * 252))


class Core:
    """The core's canonicaliser, called as the cache calls it."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def _take(self, out: Buf) -> bytes:
        written = ctypes.string_at(out.data, out.length)
        self._library.buf_free(ctypes.byref(out))
        return written

    def canon(self, text: bytes, flags: int = 0) -> bytes | None:
        """The canonical form, or None when the text is refused."""
        out, error = Buf(), Error()
        result = self._library.canon_write(
            text,
            ctypes.c_size_t(len(text)),
            ctypes.c_uint32(flags),
            ctypes.byref(out),
            ctypes.byref(error),
        )
        assert result in (0, INVALID)
        return self._take(out) if result == 0 else None

    def redis_name(self, canonical: bytes) -> str:
        """The key in Redis."""
        name = ctypes.create_string_buffer(43)
        length = ctypes.c_size_t(len(canonical))
        assert self._library.canon_redis_name(canonical, length, name) == 0
        return name.value.decode()

    def escape(self, function: str, units: bytes, count: int) -> bytes:
        """What one of core/escape.h's functions makes of `count` units."""
        out = Buf()
        writer = getattr(self._library, function)
        assert writer(ctypes.byref(out), units, ctypes.c_size_t(count)) == 0
        return self._take(out)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    path = tmp_path_factory.mktemp("core") / "canon.so"
    libraries = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libxxhash", "libcrypto"],
        check=True,
        capture_output=True,
        text=True,
    )
    flags = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC"]
    if os.environ.get("HOLYSHEEP_SANITIZED"):
        flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    command: list[str] = [
        os.environ.get("CC", "cc"),
        *flags,
        f"-I{ROOT / 'include'}",
        *(str(ROOT / f"core/{name}.c") for name in SOURCES),
        *shlex.split(libraries.stdout),
        "-o",
        str(path),
    ]
    subprocess.run(command, check=True)
    return Core(path)


# ----------------------------------------------------------------- reference


class Number(str):
    """A number as it is spelled."""


class Twice(ValueError):
    """A name that occurs twice in one object."""


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Twice
    return members


def _read(text: str) -> Any:
    return json.loads(
        text,
        parse_int=Number,
        parse_float=Number,
        parse_constant=Number,
        object_pairs_hook=_without_doubles,
    )


def _write(value: Any, in_order: bool) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        names = value if in_order else sorted(value)
        members = (f"{json.dumps(name)}: {_write(value[name], in_order)}" for name in names)
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_write(element, in_order) for element in value) + "]"
    return json.dumps(value)


def reference(text: str, flags: int = 0) -> bytes:
    """The canonical form by its definition in core/canon.h."""
    left_out = (*LEFT_OUT, *LABELS) if flags & UNLABELLED else LEFT_OUT
    request = _read(text)
    members = (
        f"{json.dumps(name)}: {_write(request[name], name in KEPT_IN_ORDER)}"
        for name in sorted(request)
        if name not in left_out
    )
    return ("{" + ", ".join(members) + "}").encode()


# ---------------------------------------------------------------- strategies

characters = st.one_of(
    st.characters(),
    st.sampled_from('"\\/\b\t\n\f\r\x00\x1f\x20\x7e\x7f\x80\xff\u1ea1\ud800\udfff\uffff\U00010000'),
    st.characters(min_codepoint=0x20, max_codepoint=0x7E),
)
texts = st.text(characters, max_size=30)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.integers(min_value=2**53 - 2, max_value=2**53 + 2),
    st.integers(min_value=-(10**400), max_value=10**400),
)
# Escaped, or as UTF-16, these sort otherwise than by code point.
tricky_names = st.text('"#\\]\x1f\x7f\x80\ud83d\ue000\uffff\U00010000\U0001f600', max_size=2)
special_names = st.sampled_from((*LEFT_OUT, *LABELS, *KEPT_IN_ORDER, "model", "messages"))
names = st.one_of(texts, tricky_names, special_names)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(names, inner, max_size=6),
    ),
    max_leaves=40,
)
requests = st.dictionaries(names, values, max_size=8)
layouts = st.sampled_from(
    (
        {},
        {"separators": (",", ":")},
        {"indent": 3},
        {"indent": "\t", "separators": (" \r,", ":\n ")},
    )
)


def spell(value: Any, layout: dict[str, Any], raw: bool) -> bytes:
    """The value as JSON text; with non-ASCII as it is, if asked and if it can be."""
    if raw:
        try:
            return json.dumps(value, ensure_ascii=False, **layout).encode()
        except UnicodeEncodeError:
            pass
    return json.dumps(value, **layout).encode()


# --------------------------------------------------------------------- tests

many = settings(max_examples=200, deadline=None, database=None)


@many
@given(request=requests, layout=layouts, raw=st.booleans(), flags=st.sampled_from((0, UNLABELLED)))
def test_the_canonical_form_is_as_defined(
    core: Core, request: dict[str, Any], layout: dict[str, Any], raw: bool, flags: int
) -> None:
    text = spell(request, layout, raw)
    canonical = core.canon(text, flags)
    assert canonical == reference(text.decode(), flags)
    assert core.canon(canonical, flags) == canonical


@many
@given(request=requests, layout=layouts, raw=st.booleans())
def test_it_is_what_json_dumps_gives(
    core: Core, request: dict[str, Any], layout: dict[str, Any], raw: bool
) -> None:
    plain = {name: request[name] for name in request if name not in (*LEFT_OUT, *KEPT_IN_ORDER)}
    text = spell(plain, layout, raw)
    assert core.canon(text) == json.dumps(json.loads(text), sort_keys=True).encode()


@many
@given(
    request=requests,
    raw=st.booleans(),
    place=st.floats(0, 1),
    removed=st.integers(0, 3),
    added=st.one_of(
        st.binary(max_size=3),
        st.sampled_from(
            [b'"', b"\\", b"\\u", b"\\uD800", b"0", b"-", b".", b"e+", b",", b"]", b"{}", b"NaN"]
        ),
    ),
)
def test_it_takes_what_json_loads_takes_and_nothing_else(
    core: Core, request: dict[str, Any], raw: bool, place: float, removed: int, added: bytes
) -> None:
    text = spell(request, {}, raw)
    at = int(place * len(text))
    damaged = text[:at] + added + text[at + removed :]
    try:
        expected: bytes | None = reference(damaged.decode())
    except (ValueError, TypeError):
        expected = None
    if not damaged.lstrip(b" \t\n\r").startswith(b"{"):
        expected = None
    assert core.canon(damaged) == expected


@many
@given(text=texts, before=st.integers(0, 1100), filler=st.sampled_from("x\né"))
def test_strings_are_escaped_as_json_dumps_does(
    core: Core, text: str, before: int, filler: str
) -> None:
    whole = filler * before + text
    codes = whole.encode("utf-32-le", "surrogatepass")
    expected = json.dumps(whole).encode()
    assert core.escape("escape_ucs4", codes, len(whole)) == expected
    greatest = max(whole, default="\0")
    if greatest <= "\uffff":
        units = whole.encode("utf-16-le", "surrogatepass")
        assert core.escape("escape_ucs2", units, len(whole)) == expected
    if greatest <= "\xff":
        assert core.escape("escape_latin1", whole.encode("latin-1"), len(whole)) == expected
    if not any("\ud800" <= character <= "\udfff" for character in whole):
        encoded = whole.encode()
        assert core.escape("escape_utf8", encoded, len(encoded)) == expected


@many
@given(
    model=texts,
    messages=st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=4),
    temperature=st.floats(0, 2),
    max_tokens=st.integers(1, 10**6),
)
def test_the_name_in_redis_is_the_articles(
    core: Core, model: str, messages: list[dict[str, str]], temperature: float, max_tokens: int
) -> None:
    body = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    canonical = core.canon(json.dumps(body).encode())
    assert canonical is not None
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    assert core.redis_name(canonical) == f"holysheep:{digest[:32]}"


@pytest.mark.parametrize("which", ["a", "b"])
def test_colliding_requests_are_canonical_as_they_are(core: Core, which: str) -> None:
    text = (DATA / f"xxh3-128-collision-{which}.json").read_bytes()
    assert core.canon(text) == text == json.dumps(json.loads(text), sort_keys=True).encode()
