"""HolySheepCache by itself: what is kept, found, forgotten, and written to a file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from holysheep import CachedHolySheepPool, HolySheepCache
from support import HERE, MESSAGES

REPLY = {
    "id": "chatcmpl-1",
    "model": "gpt-4.1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello! 你好"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
    "big": 2**70,
}


def article_key(body: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"holysheep:{digest[:32]}"


def test_a_reply_is_found_again_and_is_the_callers_own() -> None:
    cache = HolySheepCache()
    assert cache.get_cached_response("gpt-4.1", MESSAGES) is None
    cache.cache_response("gpt-4.1", MESSAGES, REPLY)
    first = cache.get_cached_response("gpt-4.1", MESSAGES)
    assert first == REPLY
    assert list(first) == list(REPLY)
    first["choices"][0]["message"]["content"] = "changed"
    assert cache.get_cached_response("gpt-4.1", MESSAGES) == REPLY
    assert cache.get_cached_response("gpt-4.1", MESSAGES, temperature=0.7) == REPLY
    assert cache.get_cached_response("gpt-4.1", MESSAGES, temperature=0.70001) is None
    assert cache.get_cached_response("gpt-4.1", MESSAGES, seed=1) is None


def test_key_is_the_articles_for_its_four_members() -> None:
    body = {"model": "gpt-4.1", "messages": MESSAGES, "temperature": 0.7, "max_tokens": 2048}
    cache = HolySheepCache()
    assert cache.key("gpt-4.1", MESSAGES) == article_key(body)
    changed = article_key({**body, "temperature": 1, "max_tokens": 5})
    assert cache.key("gpt-4.1", MESSAGES, temperature=1, max_tokens=5) == changed
    assert cache.key("gpt-4.1", MESSAGES, seed=3) == article_key({**body, "seed": 3})


def test_streams_share_the_key_and_labels_do_if_asked() -> None:
    plain = HolySheepCache()
    key = plain.key("m", MESSAGES)
    assert plain.key("m", MESSAGES, stream=True, stream_options={"include_usage": True}) == key
    assert plain.key("m", MESSAGES, user="u") != key
    assert HolySheepCache(ignore_labels=True).key("m", MESSAGES, user="u") == key


def test_the_order_inside_tools_counts() -> None:
    cache = HolySheepCache()
    one = cache.key("m", MESSAGES, tools=[{"a": 1, "b": 2}])
    other = cache.key("m", MESSAGES, tools=[{"b": 2, "a": 1}])
    assert one != other
    assert cache.key("m", [{"a": 1, "b": 2}]) == cache.key("m", [{"b": 2, "a": 1}])


def test_two_requests_that_collide_in_xxh3_get_different_answers() -> None:
    bodies = [
        json.loads((HERE / "data" / f"xxh3-128-collision-{name}.json").read_text()) for name in "ab"
    ]
    cache = HolySheepCache()
    for number, body in enumerate(bodies):
        model, messages = body.pop("model"), body.pop("messages")
        cache.cache_response(model, messages, {**REPLY, "id": number}, **body)
        body.update(model=model, messages=messages)
    for number, body in enumerate(bodies):
        found = cache.get_cached_response(body.pop("model"), body.pop("messages"), **body)
        assert found is not None
        assert found["id"] == number


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"choices": None}, "no_choices"),
        ({"choices": []}, "no_choices"),
        ({"error": {"message": "overloaded"}}, "error"),
        ({"choices": [{"finish_reason": "length", "message": {}}]}, "truncated"),
        ({"choices": [{"finish_reason": "content_filter", "message": {}}]}, "filtered"),
        ({"pad": "x" * (1 << 20)}, "too_large"),
    ],
)
def test_what_is_not_kept_is_counted_by_reason(change: dict[str, Any], reason: str) -> None:
    cache = HolySheepCache()
    cache.cache_response("gpt-4.1", MESSAGES, {**REPLY, **change})
    assert cache.get_cached_response("gpt-4.1", MESSAGES) is None
    refused = dict(cache.stats()["refused"])
    assert refused.pop(reason) == 1
    assert set(refused.values()) == {0}


def test_cut_short_replies_are_kept_if_asked() -> None:
    cache = HolySheepCache(store_truncated=True, store_filtered=True)
    for reason in ("length", "content_filter"):
        reply = {**REPLY, "choices": [{"finish_reason": reason, "message": {}}]}
        cache.cache_response(reason, MESSAGES, reply)
        assert cache.get_cached_response(reason, MESSAGES) == reply


def test_should_cache_decides() -> None:
    seen: list[Any] = []

    def only_exact(request: dict[str, Any], reply: dict[str, Any]) -> bool:
        seen.append((request["temperature"], reply["id"]))
        return bool(request["temperature"] == 0)

    cache = HolySheepCache(should_cache=only_exact)
    cache.cache_response("m", MESSAGES, REPLY, temperature=0.5)
    cache.cache_response("m", MESSAGES, REPLY, temperature=0)
    assert seen == [(0.5, "chatcmpl-1"), (0, "chatcmpl-1")]
    assert cache.get_cached_response("m", MESSAGES, temperature=0.5) is None
    assert cache.get_cached_response("m", MESSAGES, temperature=0) == REPLY


def test_ttl_of_the_cache_and_of_a_model() -> None:
    cache = HolySheepCache(ttl_seconds=0.2, cache_models={"long": 60, "never": 0, "ever": None})
    for model in ("short", "long", "never", "ever"):
        cache.cache_response(model, MESSAGES, REPLY)
    assert cache.get_cached_response("short", MESSAGES) == REPLY
    time.sleep(0.25)
    found = {
        model: cache.get_cached_response(model, MESSAGES) is not None
        for model in ("short", "long", "never", "ever")
    }
    assert found == {"short": False, "long": True, "never": False, "ever": True}
    assert cache.stats()["refused"]["no_ttl"] == 1
    assert cache.stats()["expirations"] == 1


def test_invalidate_model_removes_exactly_that_models_replies() -> None:
    cache = HolySheepCache()
    cache.cache_response("gpt-4.1", MESSAGES, REPLY)
    cache.cache_response("gpt-4.1-mini", MESSAGES, {**REPLY, "note": "gpt-4.1"})
    cache.cache_response("模型", MESSAGES, REPLY)
    cache.invalidate_model("gpt-4.1")
    cache.invalidate_model("模型")
    assert cache.get_cached_response("gpt-4.1", MESSAGES) is None
    assert cache.get_cached_response("模型", MESSAGES) is None
    assert cache.get_cached_response("gpt-4.1-mini", MESSAGES) is not None
    cache.cache_response("gpt-4.1", MESSAGES, REPLY)
    assert cache.get_cached_response("gpt-4.1", MESSAGES) == REPLY


def test_delete_and_clear() -> None:
    cache = HolySheepCache()
    for model in "abc":
        cache.cache_response(model, MESSAGES, REPLY)
    assert cache.delete("a", MESSAGES)
    assert not cache.delete("a", MESSAGES)
    assert cache.get_cached_response("a", MESSAGES) is None
    assert cache.get_cached_response("b", MESSAGES) == REPLY
    cache.clear()
    assert cache.get_cached_response("b", MESSAGES) is None


@pytest.mark.parametrize("policy", ["lru", "s3-fifo"])
def test_the_budget_holds_and_the_oldest_goes_first(policy: str) -> None:
    cache = HolySheepCache(max_bytes=1 << 20, shards=1, policy=policy)
    for number in range(5000):
        cache.cache_response("m", MESSAGES, REPLY, seed=number)
        assert cache.stats()["bytes"] <= 1 << 20
    stats = cache.stats()
    assert stats["evictions"] > 1000
    assert stats["entries"] == 5000 - stats["evictions"]
    assert cache.get_cached_response("m", MESSAGES, seed=0) is None
    assert cache.get_cached_response("m", MESSAGES, seed=4999) == REPLY


def test_stats_count_tokens_and_money() -> None:
    cache = HolySheepCache(prices={"gpt-4.1": 8.0, "free": 0})
    for model in ("gpt-4.1", "free", "unknown"):
        cache.cache_response(model, MESSAGES, REPLY)
        cache.get_cached_response(model, MESSAGES)
    cache.get_cached_response("gpt-4.1", MESSAGES, seed=1)
    stats = cache.stats()
    assert (stats["hits"], stats["misses"], stats["hit_ratio"]) == (3, 1, 0.75)
    assert stats["saved"]["prompt_tokens"] == 3000
    assert stats["saved"]["completion_tokens"] == 1500
    assert math.isclose(stats["saved"]["dollars"], 1500 * 8 / 1e6)


def test_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "replies.cache"
    cache = HolySheepCache(cache_models={"gpt-4.1": 0.3})
    for model in ("gpt-4.1", "other"):
        cache.cache_response(model, MESSAGES, REPLY)
    cache.save(path)
    assert os.stat(path).st_mode & 0o077 == 0
    fresh = HolySheepCache()
    assert fresh.load(path)["entries"] == 2
    assert fresh.get_cached_response("gpt-4.1", MESSAGES) == REPLY
    assert fresh.stats()["saved"]["dollars"] > 0
    time.sleep(0.35)
    assert fresh.get_cached_response("gpt-4.1", MESSAGES) is None
    late = HolySheepCache()
    assert late.load(path) == {
        "entries": 1, "expired": 1, "refused": 0, "damaged": 0, "damaged_bytes": 0,
    }  # fmt: skip
    assert late.get_cached_response("other", MESSAGES) == REPLY


def test_a_damaged_file_gives_what_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "replies.cache"
    cache = HolySheepCache()
    for number in range(100):
        cache.cache_response("m", MESSAGES, REPLY, seed=number)
    cache.save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    flipped = HolySheepCache()
    report = flipped.load(path)
    assert (report["entries"], report["damaged"]) == (99, 1)
    path.write_bytes(content[: len(content) // 3])
    cut = HolySheepCache()
    report = cut.load(path)
    assert 20 < report["entries"] < 40
    assert report["damaged"] >= 1
    for number in range(100):
        assert cut.get_cached_response("m", MESSAGES, seed=number) in (None, REPLY)


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "replies.cache"
    HolySheepCache(namespace="mine").save(path)
    with pytest.raises(ValueError, match="namespace"):
        HolySheepCache(namespace="yours").load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError):
        HolySheepCache().load(path)
    with pytest.raises(OSError):
        HolySheepCache().load(tmp_path / "missing")
    with pytest.raises(OSError):
        HolySheepCache().save(tmp_path / "missing" / "x")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        with pytest.raises(OSError, match="regular file"):
            HolySheepCache().save(place)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"redis_url": "redis://localhost"}, "redis_url"),
        ({"ttl_seconds": -1}, "ttl_seconds"),
        ({"ttl_seconds": float("nan")}, "ttl_seconds"),
        ({"ttl_seconds": "60"}, "ttl_seconds"),
        ({"cache_models": {"m": -1}}, "cache_models"),
        ({"cache_models": {3: 1}}, "cache_models"),
        ({"max_bytes": 100}, "max_bytes"),
        ({"max_item_bytes": 0}, "max_item_bytes"),
        ({"policy": "mru"}, "policy"),
        ({"shards": 3}, "shards"),
        ({"prices": {"m": -1}}, "prices"),
        ({"prices": {"m": float("nan")}}, "prices"),
        ({"namespace": 3}, "namespace"),
        ({"ignore_labels": 1}, "ignore_labels"),
        ({"stale_if_error": -1}, "stale_if_error"),
        ({"should_cache": bool, "stale_while_revalidate": 5}, "should_cache"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{name}"):
        HolySheepCache(**options)


def test_bad_requests_are_named_and_nothing_is_stored() -> None:
    cache = HolySheepCache()
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    bad: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("model", 3, MESSAGES, {}),
        ("messages", "m", object(), {}),
        ("messages", "m", deep, {}),
        ("messages", "m", [{"content": "\ud800"}], {}),
        ("temperature", "m", MESSAGES, {"temperature": float("nan")}),
        ("logit_bias", "m", MESSAGES, {"logit_bias": {1, 2}}),
    ]
    for name, model, messages, params in bad:
        for call in (cache.get_cached_response, cache.key, cache.delete):
            with pytest.raises((ValueError, TypeError), match=f"^{name}"):
                call(model, messages, **params)
        with pytest.raises((ValueError, TypeError), match=f"^{name}"):
            cache.cache_response(model, messages, REPLY, **params)
    with pytest.raises(TypeError, match=r"^response"):
        cache.cache_response("m", MESSAGES, {"x": object()})
    assert cache.stats()["entries"] == 0


def test_replies_survive_whatever_json_can_say() -> None:
    cache = HolySheepCache()
    reply = {**REPLY, "nul": "a\0b", "astral": "🐑", "deep": [[[{"x": [1.5, -0.0, 1e300]}]]]}
    cache.cache_response("m", MESSAGES, reply)
    found = cache.get_cached_response("m", MESSAGES)
    assert json.dumps(found) == json.dumps(reply)


def test_a_cache_outlives_its_pool_and_a_pool_its_cache() -> None:
    cache = HolySheepCache()
    pool = CachedHolySheepPool("k", cache, base_url="http://127.0.0.1:1/v1")
    cache.cache_response("m", MESSAGES, REPLY)
    asyncio.run(pool.close())
    del pool
    assert cache.get_cached_response("m", MESSAGES) == REPLY
    other = CachedHolySheepPool("k", base_url="http://127.0.0.1:1/v1")
    other.cache.cache_response("m", MESSAGES, REPLY)
    del other.cache
    assert asyncio.run(other.chat_completion("m", MESSAGES))["cached"] is True
    asyncio.run(other.close())
