"""The article's program: fifty connections, ten calls made at once and gathered.

    holysheep gateway --port 8080 &
    python article_pool.py http://127.0.0.1:8080/v1

Only the import and base_url differ from the article's.
"""

import asyncio
import sys
import time

from holysheep import HolySheepPool


async def main(base_url: str) -> None:
    """Makes the calls and prints what came back."""
    pool = HolySheepPool(api_key="YOUR_API_KEY", base_url=base_url, max_connections=50)
    started = time.perf_counter()
    tasks = [
        pool.chat_completion("gpt-4.1", [{"role": "user", "content": f"Question {number}"}])
        for number in range(10)
    ]
    results = await asyncio.gather(*tasks)
    elapsed = time.perf_counter() - started
    for result in results:
        print(result["choices"][0]["message"]["content"])
    print(f"{len(results)} calls in {elapsed * 1000:.0f} ms")
    await pool.close()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"))
