"""Clients that stream short answers and never pause, for any server that speaks the OpenAI API.

    ENGRAIN_API_KEY=… python -m locust -f benchmarks/locustfile.py --headless --users 32 --spawn-rate 32 --run-time 5m --host http://127.0.0.1:8000

With several models in `--models`, clients take turns among them. In locust's table "first piece" is the wait for the first
words, "answer" that for the whole; the size of an answer is its tokens.
"""

from __future__ import annotations

import os
import time
from itertools import count

from locust import HttpUser, events, task
from locust.argument_parser import LocustArgumentParser

from benchmarks.streams import Seen

QUESTIONS = (
    "When do you open on Saturday?", "What does delivery cost?", "Who can I call in the evening?", "Name three kinds of bread.",
    "What is the capital of France?", "How long is a guarantee?", "Explain in one sentence what a fine-tuned model is.",
)  # fmt: skip
NUMBERS = count()


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """What to ask for, beside locust's own options."""
    parser.add_argument("--models", default="smollm2-135m", help="Names of models, separated by commas")
    parser.add_argument("--tokens", type=int, default=64, help="Most tokens of an answer")


class Client(HttpUser):
    """Somebody who asks, reads, and asks again."""

    def on_start(self) -> None:
        """Begin with another question and another model than the client before."""
        options, number = self.environment.parsed_options, next(NUMBERS)
        models = options.models.split(",")
        self.model, self.tokens, self.number = models[number % len(models)], options.tokens, number
        self.headers = {"Authorization": f"Bearer {os.environ.get('ENGRAIN_API_KEY', '')}"}

    @task
    def ask(self) -> None:
        """One streamed answer; one that breaks off or says an error is a failure."""
        self.number += 1
        messages = [{"role": "user", "content": QUESTIONS[self.number % len(QUESTIONS)]}]
        body = {"model": self.model, "messages": messages, "max_tokens": self.tokens, "temperature": 0, "stream": True}
        body["stream_options"] = {"include_usage": True}
        started, seen = time.perf_counter(), Seen()
        post = self.client.post("/v1/chat/completions", json=body, headers=self.headers, stream=True, catch_response=True, name="answer")
        with post as response:
            if not response.ok:
                return  # locust counts it as a failure by its status
            for line in response.iter_lines():
                if seen.take(line.decode()) and len(seen.pieces) == 1:
                    self._count("first piece", started)
            response.request_meta["response_time"] = 1000 * (time.perf_counter() - started)
            response.request_meta["response_length"] = seen.tokens
            if not seen.whole:
                response.failure(seen.error or "the answer broke off")

    def _count(self, name: str, started: float) -> None:
        self.environment.events.request.fire(
            request_type="POST",
            name=name,
            response_time=1000 * (time.perf_counter() - started),
            response_length=0,
            exception=None,
            context={},
        )
