"""The article's cached program: calls that repeat, hits and misses counted by hand.

    holysheep gateway --port 8080 &
    python article_cached.py http://127.0.0.1:8080/v1

Only the import and base_url differ from the article's.
"""

import asyncio
import sys

from holysheep import CachedHolySheepPool, HolySheepCache

QUESTIONS = ["What is a sheep?", "What is wool?", "What is a sheep?", "What is a sheep?"]


async def main(base_url: str) -> None:
    """Asks, and prints what came from where."""
    cache = HolySheepCache(ttl_seconds=3600)
    pool = CachedHolySheepPool(api_key="YOUR_API_KEY", cache=cache, base_url=base_url)
    hits = misses = 0
    for question in QUESTIONS:
        result = await pool.chat_completion("gpt-4.1", [{"role": "user", "content": question}])
        if result.get("cached"):
            hits += 1
        else:
            misses += 1
        print(result["choices"][0]["message"]["content"])
    print(f"{hits} hits, {misses} misses, {hits / (hits + misses):.0%}")
    stats = cache.stats()
    print(f"the cache's own figures: {stats['hits']} hits, ${stats['saved']['dollars']:.6f} saved")
    await pool.close()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"))
