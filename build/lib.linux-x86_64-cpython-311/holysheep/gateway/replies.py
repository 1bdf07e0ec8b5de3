"""The bodies of replies, after https://platform.openai.com/docs/api-reference. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODELS = ("gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-flash", "deepseek-v3.2")


def error(message: str, kind: str, code: str) -> dict[str, Any]:
    """An error body; `kind` is OpenAI's "type"."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def models() -> dict[str, Any]:
    """The reply of GET /v1/models."""
    entries = [{"id": name, "object": "model", "owned_by": "holysheep"} for name in MODELS]
    return {"object": "list", "data": entries}


def check_request(body: object) -> str:
    """What is wrong with a chat completion request, or ""."""
    if not isinstance(body, Mapping):
        return "the body must be a JSON object"
    if not isinstance(body.get("model"), str):
        return "model: a string is required"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: a list with at least one message is required"
    if not all(isinstance(message, Mapping) and "role" in message for message in messages):
        return "messages: each must be an object with a role"
    return ""


def tokens_of(text: str) -> int:
    """About what a tokeniser would count: four characters a token."""
    return max(1, len(text) // 4)


def completion(number: int, created: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a checked request: it repeats the last message."""
    asked = str(body["messages"][-1].get("content") or "")
    limit = body.get("max_tokens")
    answer = f"You said: {asked}"
    if isinstance(limit, int) and limit > 0:
        answer = answer[: limit * 4]
    prompt = sum(tokens_of(str(message.get("content") or "")) for message in body["messages"])
    used = tokens_of(answer)
    message = {"role": "assistant", "content": answer}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": created,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": used,
            "total_tokens": prompt + used,
        },
    }
