"""The key straight from Python objects is the key of the JSON text that is sent, and what
json.dumps(body, sort_keys=True) gives."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from holysheep import HolySheepCache

CACHE = HolySheepCache()
LABELLESS = HolySheepCache(ignore_labels=True)

texts = some.text(some.characters(exclude_categories=()), max_size=30)
scalars = (
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(texts, inner, max_size=6),
    max_leaves=25,
)
special = ("stream", "stream_options", "tools", "functions", "response_format", "user", "store")
names = texts | some.sampled_from([*special, "seed", "a", "n", "zebra", "max", "mode", "modem"])
extras = some.dictionaries(names, values, max_size=8)


def sorted_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_members(value[name]) for name in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [sorted_members(element) for element in value]
    return value


def expected(body: dict[str, Any], left_out: tuple[str, ...]) -> str:
    """json.dumps with sort_keys, but for the members whose order counts."""
    kept = {name: body[name] for name in sorted(body) if name not in left_out}
    in_order = ("tools", "functions", "response_format")
    parts = {n: v if n in in_order else sorted_members(v) for n, v in kept.items()}
    return json.dumps(parts)


@settings(max_examples=500, deadline=None)
@given(texts, values, scalars, scalars, extras)
def test_objects_and_text_have_one_canonical_form(
    model: str, messages: Any, temperature: Any, max_tokens: Any, extra: dict[str, Any]
) -> None:
    fixed = {
        "model": model,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }
    extra = {name: value for name, value in extra.items() if name not in fixed}
    body = {**fixed, **extra}
    wanted = expected(body, ("stream", "stream_options"))
    made = CACHE._core.canonical(model, messages, temperature, max_tokens, extra)
    assert made == wanted
    shorter = expected(body, ("stream", "stream_options", "user", "store"))
    assert LABELLESS._core.canonical(model, messages, temperature, max_tokens, extra) == shorter
    text = json.dumps(body)
    assert CACHE._core.key(text) == CACHE._core.key(wanted)


@settings(max_examples=100, deadline=None)
@given(some.dictionaries(texts, values, max_size=40))
def test_many_members_go_by_the_text_instead(many: dict[str, Any]) -> None:
    made = CACHE._core.canonical("m", [many], 1, 1, {})
    body = {"model": "m", "messages": [many], "temperature": 1, "max_tokens": 1}
    assert made is None or made == json.dumps(body, sort_keys=True)
    assert (made is None) == (len(many) > 32 or _has_more(list(many.values())))


def _has_more(values: list[Any]) -> bool:
    return any(
        (isinstance(value, dict) and (len(value) > 32 or _has_more(list(value.values()))))
        or (isinstance(value, list) and _has_more(value))
        for value in values
    )


def test_what_is_rare_goes_by_the_text() -> None:
    class Text(str):
        pass

    for rare in (2**63, -(2**63) - 1, Text("x"), {1: 2}, {Text("x"): 1}, float("inf"), b"", {1}):
        assert CACHE._core.canonical("m", [rare], 1, 1, {}) is None
        assert CACHE._core.canonical("m", [], 1, 1, {"x": rare}) is None
    deep: list[Any] = []
    for _ in range(198):
        deep = [deep]
    assert CACHE._core.canonical("m", deep, 1, 1, {}) is not None
    assert CACHE._core.canonical("m", [deep], 1, 1, {}) is None
