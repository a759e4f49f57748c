"""What the server counts, in Prometheus's format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The counters of one server (its own registry, so that two in one process do not mix)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("engrain_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry)
        self.seconds = Histogram("engrain_request_seconds", "Time to answer a request.", ["route"], registry=self.registry)
        self.prompt_tokens = Counter("engrain_prompt_tokens", "Tokens of prompts.", registry=self.registry)
        self.cached_tokens = Counter("engrain_cached_prompt_tokens", "Tokens of prompts that were not computed.", registry=self.registry)
        self.written_tokens = Counter("engrain_written_tokens", "Tokens of answers.", registry=self.registry)
        self.waiting = Gauge("engrain_waiting", "Answers that wait for a slot.", registry=self.registry)
        self.writing = Gauge("engrain_writing", "Answers being written.", registry=self.registry)
        self.adapters = Gauge("engrain_adapters", "Adapters in memory.", registry=self.registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
