"""CachedHolySheepPool: what reaches the gateway, and what comes from the cache."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import Any

import pytest

import holysheep
from holysheep import CachedHolySheepPool, HolySheepCache
from support import MESSAGES, ScriptedGateway, until


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_the_signature_is_the_articles() -> None:
    parameters = list(inspect.signature(CachedHolySheepPool).parameters.values())
    assert [(p.name, p.default) for p in parameters[:2]] == [
        ("api_key", inspect.Parameter.empty),
        ("cache", None),
    ]
    names = list(inspect.signature(CachedHolySheepPool.chat_completion).parameters)
    assert names[:5] == ["self", "model", "messages", "temperature", "max_tokens"]


def test_a_hit_is_marked_and_a_dict_of_ones_own(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            missed = await pool.chat_completion("gpt-4.1", MESSAGES)
            assert "cached" not in missed
            for _ in range(3):
                hit = await pool.chat_completion("gpt-4.1", MESSAGES)
                assert hit == {**missed, "cached": True}
                hit["choices"][0]["message"].clear()
                hit["usage"]["total_tokens"] = -1
            again = await pool.chat_completion("gpt-4.1", MESSAGES, 0.7, max_tokens=2048)
            assert again["cached"]
            other = await pool.chat_completion("gpt-4.1", MESSAGES, 0.8)
            assert "cached" not in other

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_a_hit_needs_no_gateway_and_no_thread() -> None:
    cache = HolySheepCache()
    pool = CachedHolySheepPool("k", cache, base_url="http://127.0.0.1:1/v1")
    reply = {"choices": [{"message": {"content": "x"}}]}
    cache.cache_response("m", MESSAGES, reply)
    before = set(os.listdir("/proc/self/task"))
    assert asyncio.run(pool.chat_completion("m", MESSAGES)) == {**reply, "cached": True}
    assert set(os.listdir("/proc/self/task")) == before
    asyncio.run(pool.close())


def test_requests_that_the_fast_path_cannot_spell_hit_too(gateway: ScriptedGateway) -> None:
    class Text(str):
        pass

    script = gateway.script()
    many = {f"m{number}": number for number in range(100)}
    requests: list[tuple[Any, dict[str, Any]]] = [
        (asked(Text("subclass")), {}),
        (MESSAGES, {"seed": 2**70}),
        (MESSAGES, {"metadata": many}),
        (MESSAGES, {"logit_bias": {1: 2}}),
        ((MESSAGES[0],), {"stop": ("a", "b")}),
    ]

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            for messages, extra in requests:
                await pool.chat_completion("m", messages, **extra)
                assert (await pool.chat_completion("m", messages, **extra))["cached"]

    asyncio.run(main())
    assert script.counts()["requests"] == len(requests)


def test_a_thousand_identical_calls_at_once_are_one_request(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=100")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [pool.chat_completion("m", MESSAGES) for _ in range(1000)]
            replies = await asyncio.gather(*calls)
            assert len({id(reply) for reply in replies}) == 1000
            assert all(reply == replies[0] for reply in replies)
            assert pool.stats()["cache"]["coalesced"] == 999
            assert (pool.stats()["in_flight"], pool.stats()["waiting"]) == (0, 0)

    asyncio.run(main())
    assert script.counts()["requests"] == 1


def test_identical_calls_of_several_threads_are_one_request(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=200")
    pool = CachedHolySheepPool("k", base_url=script.url)

    async def some() -> None:
        await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(50)))

    threads = [threading.Thread(target=lambda: asyncio.run(some())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(pool.close())
    assert script.counts()["requests"] == 1


@pytest.mark.parametrize("cancelled", [[0], [3], [0, 1, 2, 3, 4, 5, 6, 7, 8]])
def test_cancelling_some_leaves_the_others_served(
    gateway: ScriptedGateway, cancelled: list[int]
) -> None:
    script = gateway.script("delay=150")

    async def main() -> list[Any]:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(10)]
            await until(lambda: script.counts()["active"] == 1)
            for index in cancelled:
                calls[index].cancel()
            return list(await asyncio.gather(*calls, return_exceptions=True))

    outcomes = asyncio.run(main())
    for index, outcome in enumerate(outcomes):
        assert isinstance(outcome, asyncio.CancelledError if index in cancelled else dict)
    assert script.counts()["requests"] == 1
    assert script.counts()["completed"] == 1


def test_cancelling_all_stops_the_request(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(10)]
            await until(lambda: script.counts()["active"] == 1)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await until(lambda: script.counts()["active"] == 0)
            assert pool.stats()["in_flight"] == 0

    asyncio.run(main())
    assert script.counts()["aborted"] == 1


def test_an_error_goes_to_all_and_is_not_kept(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=100,nth=0,status=500")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [pool.chat_completion("m", MESSAGES) for _ in range(20)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(outcome, holysheep.HTTPStatusError) for outcome in outcomes)
            assert len({id(outcome) for outcome in outcomes}) == 20
            assert "cached" not in await pool.chat_completion("m", MESSAGES)
            assert pool.stats()["cache"]["refused"]["status"] == 1

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_a_broken_connection_goes_to_all(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=100,close=body")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [pool.chat_completion("m", MESSAGES) for _ in range(20)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {(type(o).__name__, getattr(o, "sent", "")) for o in outcomes} == {
                ("RemoteProtocolError", "answered")
            }
            assert pool.cache.stats()["entries"] == 0

    asyncio.run(main())
    assert script.counts()["requests"] == 1


def test_a_total_deadline_ends_only_the_call_whose_it_is(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=600")

    async def main() -> None:
        cache = HolySheepCache()
        async with CachedHolySheepPool("k", cache, base_url=script.url, total_timeout=0.4) as pool:
            first = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await asyncio.sleep(0.3)
            second = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            with pytest.raises(holysheep.TotalTimeout) as caught:
                await first
            assert caught.value.sent == "possibly sent"
            assert "id" in await second

    asyncio.run(main())
    assert script.counts()["requests"] == 1


def test_no_cache_neither_looks_nor_shares_and_keeps_the_fresh_reply(
    gateway: ScriptedGateway,
) -> None:
    script = gateway.script("delay=50")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            calls = [pool.chat_completion("m", MESSAGES, no_cache=True) for _ in range(3)]
            assert not any("cached" in reply for reply in await asyncio.gather(*calls))
            assert script.counts()["requests"] == 3
            assert (await pool.chat_completion("m", MESSAGES))["cached"]
            assert "cached" not in await pool.chat_completion("m", MESSAGES, no_cache=True)
            assert "no_cache" not in script.bodies()[0]

    asyncio.run(main())
    assert script.counts()["requests"] == 4


def test_no_store_keeps_nothing(gateway: ScriptedGateway) -> None:
    script = gateway.script()

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            await pool.chat_completion("m", MESSAGES, no_store=True)
            assert "cached" not in await pool.chat_completion("m", MESSAGES)
            assert (await pool.chat_completion("m", MESSAGES, no_store=True))["cached"]

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_a_reply_in_flight_while_its_model_is_invalidated_is_not_kept(
    gateway: ScriptedGateway,
) -> None:
    script = gateway.script("hold")

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            call = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await until(lambda: script.counts()["active"] == 1)
            pool.cache.invalidate_model("m")
            later = asyncio.ensure_future(pool.chat_completion("m", MESSAGES))
            await until(lambda: script.counts()["active"] == 2)  # not the outdated one's share
            script.release()
            await asyncio.gather(call, later)
            assert pool.cache.stats()["refused"]["outdated"] == 1
            assert (await pool.chat_completion("m", MESSAGES))["cached"]

    asyncio.run(main())
    assert script.counts()["requests"] == 2


def test_should_cache_sees_request_and_reply(gateway: ScriptedGateway) -> None:
    script = gateway.script()
    cache = HolySheepCache(
        should_cache=lambda request, reply: bool(request["temperature"] == 0 and reply["id"])
    )

    async def main() -> None:
        async with CachedHolySheepPool("k", cache, base_url=script.url) as pool:
            for temperature, cached in ((0.7, False), (0.7, False), (0, False), (0, True)):
                reply = await pool.chat_completion("m", MESSAGES, temperature)
                assert ("cached" in reply) == cached

    asyncio.run(main())
    assert script.counts()["requests"] == 3


def test_pools_share_replies_only_when_told_to(gateway: ScriptedGateway) -> None:
    script, other = gateway.script(), gateway.script()

    async def ask(cache: HolySheepCache, key: str, url: str, **options: Any) -> bool:
        async with CachedHolySheepPool(key, cache, base_url=url, **options) as pool:
            return "cached" in await pool.chat_completion("m", MESSAGES)

    async def main() -> None:
        cache = HolySheepCache()
        assert not await ask(cache, "a", script.url)
        assert await ask(cache, "a", script.url)
        assert not await ask(cache, "b", script.url)
        assert not await ask(cache, "a", other.url)
        assert not await ask(cache, "a", script.url, headers={"OpenAI-Organization": "o"})
        assert await ask(cache, "a", script.url)
        shared = HolySheepCache(namespace="all")
        assert not await ask(shared, "a", script.url)
        assert await ask(shared, "b", other.url)

    asyncio.run(main())


def test_stale_while_revalidate(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=50")
    cache = HolySheepCache(ttl_seconds=0.2, stale_while_revalidate=30)

    async def main() -> None:
        async with CachedHolySheepPool("k", cache, base_url=script.url) as pool:
            await pool.chat_completion("m", MESSAGES)
            assert "stale" not in await pool.chat_completion("m", MESSAGES)
            await asyncio.sleep(0.25)
            stale = await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(20)))
            assert all(reply["cached"] and reply["stale"] for reply in stale)
            await until(lambda: script.counts()["completed"] == 2)
            await until(lambda: cache.stats()["stores"] == 2)
            fresh = await pool.chat_completion("m", MESSAGES)
            assert fresh["cached"]
            assert "stale" not in fresh
            stats = cache.stats()
            assert (stats["hits"], stats["stale_hits"], stats["misses"]) == (2, 20, 1)

    asyncio.run(main())
    assert script.counts()["requests"] == 2


@pytest.mark.parametrize("fault", ["status=503", "close=before"])
def test_stale_if_error(gateway: ScriptedGateway, fault: str) -> None:
    script = gateway.script(f"after=1,{fault}")
    cache = HolySheepCache(ttl_seconds=0.1, stale_if_error=30)

    async def main() -> None:
        async with CachedHolySheepPool("k", cache, base_url=script.url, max_keepalive=0) as pool:
            fresh = await pool.chat_completion("m", MESSAGES)
            await asyncio.sleep(0.15)
            stale = await pool.chat_completion("m", MESSAGES)
            assert stale == {**fresh, "cached": True, "stale": True}
            with pytest.raises(holysheep.HolySheepError):
                await pool.chat_completion("m", asked("something else"))
            with pytest.raises(holysheep.HolySheepError):
                await pool.chat_completion("m", MESSAGES, no_cache=True)

    asyncio.run(main())


def test_after_close_not_even_a_hit() -> None:
    cache = HolySheepCache()
    pool = CachedHolySheepPool("k", cache, base_url="http://127.0.0.1:1/v1")
    cache.cache_response("m", MESSAGES, {"choices": [{}]})
    asyncio.run(pool.close())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(pool.chat_completion("m", MESSAGES))


def test_close_ends_calls_that_share(gateway: ScriptedGateway) -> None:
    script = gateway.script("delay=30000")

    async def main() -> None:
        pool = CachedHolySheepPool("k", base_url=script.url)
        calls = [asyncio.ensure_future(pool.chat_completion("m", MESSAGES)) for _ in range(20)]
        await until(lambda: script.counts()["active"] == 1)
        await pool.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["PoolClosed"] * 20

    asyncio.run(main())


def test_bad_arguments_are_named(gateway: ScriptedGateway) -> None:
    script = gateway.script()
    # What mypy is told to ignore below is given wrongly on purpose.
    with pytest.raises(TypeError, match=r"^cache"):
        CachedHolySheepPool("k", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="base_uri"):
        CachedHolySheepPool("k", base_uri="x")
    with pytest.raises(ValueError, match=r"^namespace"):
        CachedHolySheepPool("k", HolySheepCache(namespace="a\nb"), base_url=script.url)

    async def main() -> None:
        async with CachedHolySheepPool("k", base_url=script.url) as pool:
            with pytest.raises(TypeError, match=r"^no_cache"):
                await pool.chat_completion("m", MESSAGES, no_cache="yes")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"^model"):
                await pool.chat_completion(3, MESSAGES)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=r"^stream"):
                await pool.chat_completion("m", MESSAGES, stream=True)
            with pytest.raises(ValueError, match=r"^temperature"):
                await pool.chat_completion("m", MESSAGES, float("nan"))
            with pytest.raises(ValueError, match=r"^messages"):
                await pool.chat_completion("m", asked("\ud800"))

    asyncio.run(main())
    assert script.counts()["requests"] == 0
