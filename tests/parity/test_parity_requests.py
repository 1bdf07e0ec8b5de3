"""The same calls make the same requests, and give the same results."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sides import SIDES, Pool, Use, both, both_scripts, outcome_of

import holysheep
from holysheep.encoding import decode, encode
from support import Script, ScriptedGateway, release_round

ASKED = [{"role": "user", "content": "Say «hello», 你好, \u2028 \U0001f411"}]

# Headers that may differ, each for a reason.
DIFFERING = {
    "Host": "each script has its own path, but the host is the same: compared by itself",
    "User-Agent": "names the client",
    "Accept-Encoding": "names what the client can unpack: httpx adds br and zstd where installed",
    "Connection": "httpx says keep-alive, which HTTP/1.1 means anyway (RFC 9112, 9.3)",
}


def calls(arguments: list[Any], keywords: dict[str, Any]) -> Use:
    async def use(pool: Pool) -> Any:
        return await pool.chat_completion(*arguments, **keywords)

    return use


USES = {
    "defaults": calls(["gpt-4.1", ASKED], {}),
    "all by position": calls(["m", ASKED, 0.1, 17], {}),
    "all by name": calls([], {"model": "m", "messages": ASKED, "temperature": 1, "max_tokens": 1}),
    "temperature of 0": calls(["m", ASKED, 0], {}),
    "no limit of tokens": calls(["m", ASKED], {"max_tokens": None}),
    "floats": calls(["m", ASKED, 1e-7, 2.5], {}),
    "large numbers": calls(["m", ASKED, 2**70, -(2**64)], {}),
    "no messages": calls(["m", []], {}),
    "nested messages": calls(["m", [{"role": "user", "content": [{"a": [True, None, {}]}]}]], {}),
    "escapes": calls(['"\\/\b\f\n\r\t\x00\x7f', ASKED], {}),
    "tuples": calls(["m", ({"role": "user", "content": ("a", "b")},)], {}),
    "keys that aren't strings": calls(["m", [{1: "a", False: "b", None: "c", 1.5: "d"}]], {}),
    "a long prompt": calls(["m", [{"role": "user", "content": "é" * 2_000_000}]], {}),
}


@pytest.mark.parametrize("use", USES)
def test_requests_are_the_same(gateway: ScriptedGateway, use: str) -> None:
    theirs, ours = (script.requests() for script in both_scripts(gateway, "", USES[use]))
    assert len(theirs) == len(ours) == 1
    assert ours[0]["body"] == theirs[0]["body"]
    assert ours[0]["method"] == theirs[0]["method"]
    assert ours[0]["path"].split("/v1")[1] == theirs[0]["path"].split("/v1")[1]
    assert ours[0]["headers"]["Host"] == theirs[0]["headers"]["Host"]
    assert compared(ours[0]) == compared(theirs[0])


def compared(request: dict[str, Any]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = request["headers"]
    return {name: values for name, values in headers.items() if name not in DIFFERING}


def test_the_headers_that_differ_do_so_as_documented(gateway: ScriptedGateway) -> None:
    theirs, ours = (script.requests()[0]["headers"] for script in both_scripts(gateway, ""))
    assert set(theirs) - set(ours) == {"Connection"}
    assert set(ours) - set(theirs) == set()
    assert theirs["Connection"] == ["keep-alive"]
    assert ours["User-Agent"] == [f"holysheep/{holysheep.__version__}"]
    assert ours["Accept-Encoding"] == ["gzip, deflate"]
    assert theirs["Accept-Encoding"][0].startswith("gzip, deflate")
    assert ours["Accept"] == theirs["Accept"] == ["*/*"]


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_base_url_may_end_in_a_slash(gateway: ScriptedGateway, ending: str) -> None:
    paths = []
    for side in SIDES:
        script = gateway.script()
        assert isinstance(outcome_of(side, script.url + ending), dict)
        paths.append(script.requests()[0]["path"].split("/v1")[1])
    assert paths == ["/chat/completions"] * 2


REPLIES = [
    "",
    "gzip",
    "deflate",
    "chunked",
    "gzip,chunked",
    "no_length",
    "interim=2",
    "status=201",
    "status=299",
    "size=100000",
    "head_size=50000",
    "body=[1,2]",
    "body=%22text%22",
    "body=1e400",
    "body=NaN",
    "body=-0.0",
    "body=123456789012345678901234567890",
    "body=%20%0A%09{%22a%22:1}%0D%20",
    "body={%22a%22:1,%22a%22:2}",
    "body=%EF%BB%BF{}",
    "body=%22%5Cud800%22",
    "body=%22%C3%A9%22",
    "type=text%2Fplain",
    "type=application%2Fjson;%20charset=iso-8859-1,body=%22%C3%A9%22",
]


@pytest.mark.parametrize("words", REPLIES)
def test_results_are_the_same(gateway: ScriptedGateway, words: str) -> None:
    theirs, ours = both(gateway, words)
    assert repr(ours) == repr(theirs) or type(theirs) is type(ours) is json.JSONDecodeError


def test_positions_names_and_defaults_are_the_same() -> None:
    for name in ("__init__", "chat_completion", "close"):
        theirs = inspect.signature(getattr(reference.HolySheepPool, name)).parameters
        ours = inspect.signature(getattr(holysheep.HolySheepPool, name)).parameters
        shared, added = list(ours.values())[: len(theirs)], list(ours.values())[len(theirs) :]
        assert described(shared) == described(list(theirs.values()))
        kinds = {each.kind for each in added}
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}


def described(parameters: list[inspect.Parameter]) -> list[tuple[Any, ...]]:
    return [(each.name, each.default, each.kind) for each in parameters]


def test_the_articles_usage_as_it_stands(gateway: ScriptedGateway) -> None:
    async def usage(pool_class: Any, url: str) -> list[Any]:
        pool = pool_class("YOUR_API_KEY", base_url=url, max_connections=50)
        tasks = [
            pool.chat_completion(
                model="gpt-4.1", messages=[{"role": "user", "content": f"Query {i}"}]
            )
            for i in range(10)
        ]
        results: list[Any] = await asyncio.gather(*tasks)
        await pool.close()
        return results

    async def main(side: Any, script: Script) -> list[Any]:
        calls = asyncio.ensure_future(usage(side, script.url))
        await release_round(script, 10, 10)
        return await calls

    seen = []
    for side in SIDES:
        script = gateway.script("hold")
        results = asyncio.run(main(side, script))
        bodies = sorted(request["body"] for request in script.requests())
        seen.append((results, bodies, script.counts()["max_active"]))
    assert seen[0] == seen[1]
    assert seen[1][2] == 10


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans(), inner, max_size=4)
    ),
    max_leaves=20,
)


def as_httpx_writes(value: Any) -> str:
    """What httpx 0.28 sends: httpx/_content.py, encode_json."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON_VALUES)
def test_any_value_is_written_as_httpx_writes_it(value: Any) -> None:
    assert encode(value) == as_httpx_writes(value)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON_VALUES, st.booleans(), st.sampled_from(["", " ", "\n\t "]))
def test_any_text_is_read_as_json_loads_reads_it(value: Any, ascii_only: bool, pad: str) -> None:
    text = pad + json.dumps(value, ensure_ascii=ascii_only) + pad
    assert repr(decode(text, text.encode)) == repr(json.loads(text))


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.sampled_from('{}[]":,0123456789.eE+-truefalsn \\u'), max_size=30))
def test_text_that_is_not_json_is_refused_as_json_loads_does(text: str) -> None:
    assert result_of(lambda: decode(text, text.encode)) == result_of(lambda: json.loads(text))


def result_of(read: Any) -> tuple[str, str]:
    try:
        return "value", repr(read())
    except json.JSONDecodeError as error:
        return "error", str(error)
