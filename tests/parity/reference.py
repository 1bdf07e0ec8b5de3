"""The article's HolySheepPool, written afresh over httpx from what the article does."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class HolySheepPool:
    """One httpx client, and a semaphore before it."""

    def __init__(
        self,
        api_key: str,
        base_url: str = "https://api.holysheep.ai/v1",
        max_connections: int = 100,
        max_keepalive: int = 20,
        timeout: float = 30.0,
    ) -> None:
        self._semaphore = asyncio.Semaphore(max_connections)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            limits=httpx.Limits(
                max_connections=max_connections, max_keepalive_connections=max_keepalive
            ),
            timeout=httpx.Timeout(timeout),
        )

    async def chat_completion(
        self,
        model: str,
        messages: list[dict[str, str]],
        temperature: float = 0.7,
        max_tokens: int = 2048,
    ) -> dict[str, Any]:
        """POSTs one completion; raises what httpx raises."""
        body = {
            "model": model,
            "messages": messages,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        async with self._semaphore:
            response = await self._client.post("/chat/completions", json=body)
        response.raise_for_status()
        reply: dict[str, Any] = response.json()
        return reply

    async def close(self) -> None:
        """Closes the client."""
        await self._client.aclose()
