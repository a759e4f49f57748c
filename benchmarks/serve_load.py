"""Load on a running server: CLIENTS ask at the same time for SECONDS; requests, errors, tokens a second, and waiting times.

    ENGRAIN_API_KEY=… engrain serve &
    ENGRAIN_API_KEY=… python benchmarks/serve_load.py --clients 32 --seconds 60 --model smollm2-135m

With several `--model`, clients take turns among them. `--clients 1` is the comparison: one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

QUESTIONS = (
    "When do you open on Saturday?", "What does delivery cost?", "Who can I call in the evening?", "Name three kinds of bread.",
    "What is the capital of France?", "How long is a guarantee?", "Explain in one sentence what a fine-tuned model is.",
)  # fmt: skip


@dataclass
class Seen:
    """What all clients saw; times in seconds."""

    statuses: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


async def ask(client: httpx.AsyncClient, model: str, question: str, tokens: int, seen: Seen) -> None:
    """One streamed request."""
    started, first = time.perf_counter(), None
    body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": tokens, "stream": True}
    body["stream_options"] = {"include_usage": True}
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            seen.statuses[str(response.status_code)] += 1
            if response.status_code != httpx.codes.OK:
                return
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                said = json.loads(line.removeprefix("data: "))
                if "error" in said:
                    seen.statuses[said["error"]["code"]] += 1
                    return
                if said["choices"] and said["choices"][0]["delta"].get("content") and first is None:
                    first = time.perf_counter() - started
                elif said.get("usage"):
                    seen.tokens += said["usage"]["completion_tokens"]
    except httpx.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        return
    seen.first.append(first if first is not None else time.perf_counter() - started)
    seen.whole.append(time.perf_counter() - started)


async def load(url: str, key: str, models: list[str], clients: int, seconds: float, tokens: int) -> Seen:
    """What `clients` that never pause see in so many seconds."""
    seen, end = Seen(), time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600, limits=limits) as client:

        async def one(number: int) -> None:
            while time.perf_counter() < end:
                await ask(client, models[number % len(models)], QUESTIONS[number % len(QUESTIONS)], tokens, seen)
                number += clients

        await asyncio.gather(*(one(number) for number in range(clients)))
    return seen


def at(times: list[float], share: float) -> float:
    """The time that this share of all stayed under."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


def main() -> None:
    """Parse, put the load on, print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tokens", type=int, default=64)
    given = parser.parse_args()
    started = time.perf_counter()
    seen = asyncio.run(load(given.url, os.environ["ENGRAIN_API_KEY"], given.model, given.clients, given.seconds, given.tokens))
    seconds = time.perf_counter() - started
    print(f"{given.clients} clients, {seconds:.1f} s: {dict(seen.statuses)}")
    print(f"{len(seen.whole) / seconds:.2f} requests/s, {seen.tokens / seconds:.1f} tokens/s")
    print(f"first piece: median {at(seen.first, 0.5):.2f} s, 95% under {at(seen.first, 0.95):.2f} s")
    print(f"whole answer: median {at(seen.whole, 0.5):.2f} s, 95% under {at(seen.whole, 0.95):.2f} s")


if __name__ == "__main__":
    main()
