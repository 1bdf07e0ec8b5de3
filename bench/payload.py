"""What every client sends and every server answers: one chat completion."""

from __future__ import annotations

import json

MODEL = "gpt-4.1"
QUESTION = "Why do sheep follow one another, and who is in front? Answer in two or three sentences."
MESSAGES = [{"role": "user", "content": QUESTION}]
TEMPERATURE = 0.7
MAX_TOKENS = 2048
API_KEY = "bench-key"
REPLY_BYTES = 558


def request() -> dict[str, object]:
    """The body's members, as the article's class sends them."""
    return {
        "model": MODEL,
        "messages": MESSAGES,
        "temperature": TEMPERATURE,
        "max_tokens": MAX_TOKENS,
    }


def reply() -> str:
    """A chat completion of REPLY_BYTES bytes of JSON, ASCII, without single quotes."""
    text = "They learn where to go by watching the one in front, who learnt it the same way. " * 7
    return _completion(text[: REPLY_BYTES - len(_completion(""))])


def _completion(content: str) -> str:
    return json.dumps(
        {
            "id": "chatcmpl-8f14e45fceea167a5a36dedd4bea2543",
            "object": "chat.completion",
            "created": 1700000000,
            "model": MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 26, "completion_tokens": 50, "total_tokens": 76},
        }
    )
