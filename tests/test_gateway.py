"""The embedded gateway: latency and limits by themselves, then over HTTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional

import pytest
from aiohttp import web

from holysheep import HolySheepPool, HTTPStatusError
from holysheep.gateway import replies
from holysheep.gateway.latency import LatencyModel
from holysheep.gateway.limits import RequestLimit
from holysheep.gateway.server import Gateway
from support import MESSAGES

AT_ONCE = LatencyModel(base=0, jitter=0)


# ------------------------------------------------------------------------ latency


def test_latency_is_a_base_and_a_time_per_token() -> None:
    model = LatencyModel(base=0.5, per_token=0.01, jitter=0)
    assert model.seconds(0, random.Random(1)) == 0.5
    assert model.seconds(100, random.Random(1)) == pytest.approx(1.5)


def test_jitter_spreads_latency_evenly_around_it() -> None:
    model = LatencyModel(base=1, per_token=0, jitter=0.2)
    randomness = random.Random(7)
    times = [model.seconds(10, randomness) for _ in range(5000)]
    assert min(times) == pytest.approx(0.8, abs=0.01)
    assert max(times) == pytest.approx(1.2, abs=0.01)
    assert sum(times) / len(times) == pytest.approx(1, abs=0.01)


def test_a_seed_repeats_itself() -> None:
    model = LatencyModel(jitter=0.5)
    seeded = [random.Random(seed) for seed in (3, 3, 4)]
    runs = [[model.seconds(5, randomness) for _ in range(9)] for randomness in seeded]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"base": -1}, "base"),
        ({"base": float("inf")}, "base"),
        ({"base": float("nan")}, "base"),
        ({"per_token": -0.1}, "per_token"),
        ({"jitter": 1.1}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": float("nan")}, "jitter"),
    ],
)
def test_impossible_latencies(members: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}"):
        LatencyModel(**members)


# ------------------------------------------------------------------------- limits


def test_a_minutes_worth_may_come_at_once_and_then_no_more() -> None:
    limit = RequestLimit(60)
    assert [limit.retry_after(100.0) for _ in range(60)] == [0] * 60
    assert limit.retry_after(100.0) == 1


def test_requests_come_back_with_time() -> None:
    limit = RequestLimit(60)
    for _ in range(60):
        limit.retry_after(0.0)
    assert limit.retry_after(0.9) > 0
    assert limit.retry_after(2.1) == 0
    assert limit.retry_after(2.1) == 0
    assert limit.retry_after(2.1) > 0


def test_no_more_than_a_minutes_worth_is_saved_up() -> None:
    limit = RequestLimit(5)
    limit.retry_after(0.0)
    assert [limit.retry_after(1e6) for _ in range(6)] == [0, 0, 0, 0, 0, 12]


def test_waiting_as_told_is_enough() -> None:
    limit = RequestLimit(7)
    now = 0.0
    for _ in range(200):
        wait = limit.retry_after(now)
        if wait:
            now += wait
            assert limit.retry_after(now) == 0


def test_time_that_goes_backwards_gives_nothing() -> None:
    limit = RequestLimit(1)
    assert limit.retry_after(100.0) == 0
    assert limit.retry_after(50.0) > 0


@pytest.mark.parametrize("wrong", [0, -1])
def test_impossible_limits(wrong: int) -> None:
    with pytest.raises(ValueError, match=r"^per_minute"):
        RequestLimit(wrong)


# ------------------------------------------------------------------------ over HTTP


@asynccontextmanager
async def served(gateway: Gateway) -> AsyncIterator[str]:
    runner = web.AppRunner(gateway.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


def outcome_of(
    method: str, path: str, body: Any = None, *, key: Optional[str] = "k", **options: Any
) -> Any:
    """What a fresh gateway replies, or the error."""

    async def main() -> Any:
        gateway = Gateway(options.pop("latency", AT_ONCE), **options)
        async with served(gateway) as url, HolySheepPool(key, url) as pool:
            try:
                return await pool.request(method, path, json=body)
            except HTTPStatusError as error:
                return error

    return asyncio.run(main())


def test_a_completion_is_shaped_as_openais() -> None:
    asked = {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0.7, "max_tokens": 2048}
    reply = outcome_of("POST", "/chat/completions", asked)
    assert set(reply) == {"id", "object", "created", "model", "choices", "usage"}
    assert reply["id"].startswith("chatcmpl-")
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "gpt-4.1"
    (choice,) = reply["choices"]
    assert choice["index"] == 0
    assert choice["message"] == {"role": "assistant", "content": "You said: Hello 你好"}
    assert choice["finish_reason"] == "stop"
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 0


def test_models_are_listed() -> None:
    reply = outcome_of("GET", "/models")
    assert reply["object"] == "list"
    assert {model["object"] for model in reply["data"]} == {"model"}
    assert "gpt-4.1" in [model["id"] for model in reply["data"]]


def test_max_tokens_cuts_the_answer_off() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 5}
    reply = outcome_of("POST", "/chat/completions", asked)
    assert reply["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "object"),
        ({"messages": MESSAGES}, "model"),
        ({"model": 1, "messages": MESSAGES}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": "hello"}, "messages"),
        ({"model": "m", "messages": ["hello"]}, "messages"),
        ({"model": "m", "messages": [{"content": "no role"}]}, "messages"),
        ({"model": "m", "messages": [{"role": "user", "content": 1}]}, ""),
        ({"model": "m", "messages": [{"role": "user", "content": None}]}, ""),
        ({"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}, ""),
        ({"model": "m", "messages": MESSAGES, "max_tokens": "many"}, ""),
        ({"model": "m", "messages": MESSAGES, "max_tokens": -1}, ""),
    ],
)
def test_what_is_asked_wrongly_gets_400(body: Any, words: str) -> None:
    """Or an answer, where the words are empty: the gateway is no judge of contents."""
    outcome = outcome_of("POST", "/chat/completions", body)
    if not words:
        assert "choices" in outcome
        return
    assert isinstance(outcome, HTTPStatusError)
    assert outcome.response.status_code == 400
    error = outcome.response.json()["error"]
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"


def test_a_key_is_asked_for_where_one_is_set() -> None:
    assert "data" in outcome_of("GET", "/models", api_key="right", key="right")
    for wrong in ("wrong", None):
        error = outcome_of("GET", "/models", api_key="right", key=wrong)
        assert isinstance(error, HTTPStatusError)
        assert error.response.status_code == 401
        assert error.response.json()["error"]["code"] == "invalid_api_key"
        assert "right" not in error.response.text


def test_too_many_requests_get_429_and_a_time_to_wait() -> None:
    async def main() -> Any:
        gateway = Gateway(AT_ONCE, limit=RequestLimit(3))
        async with served(gateway) as url, HolySheepPool("k", url) as pool:
            calls = (pool.chat_completion("m", MESSAGES) for _ in range(5))
            return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(main())
    errors = [outcome for outcome in outcomes if isinstance(outcome, HTTPStatusError)]
    assert len(errors) == 2
    for error in errors:
        assert error.response.status_code == 429
        assert 1 <= int(error.response.headers["Retry-After"]) <= 20
        assert error.response.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_reply_takes_the_time_of_the_model() -> None:
    async def main() -> float:
        gateway = Gateway(LatencyModel(base=0.2, jitter=0))
        async with served(gateway) as url, HolySheepPool("k", url) as pool:
            started = asyncio.get_running_loop().time()
            await pool.chat_completion("m", MESSAGES)
            return asyncio.get_running_loop().time() - started

    assert asyncio.run(main()) >= 0.2


def test_an_unknown_path_is_404() -> None:
    error = outcome_of("GET", "/nothing")
    assert isinstance(error, HTTPStatusError)
    assert error.response.status_code == 404


def test_the_check_names_what_is_wrong() -> None:
    assert replies.check_request({"model": "m", "messages": MESSAGES}) == ""
    assert replies.check_request(None) != ""
