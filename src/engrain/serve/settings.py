"""What decides how the server behaves."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from engrain.errors import SettingError
from engrain.run import ROOT
from engrain.settings import check, check_choices, setting

ENGINES = ("local", "vllm")


@dataclass(frozen=True)
class ServeSettings:
    """Where the server listens, what it may serve, and how much one client may ask for."""

    host: str = setting("127.0.0.1", "Address to listen at; one that others can reach needs --public as well.")
    port: int = setting(8000, "Port to listen at; 0 means any that is free.")
    public: bool = setting(False, "Allow an address that other machines can reach.")
    allowed_hosts: tuple[str, ...] = setting((), "Host names, separated by commas, by which clients may call the server.")
    runs: Path = setting(ROOT, "Folder of the runs that are served; jobs, uploads and keys lie in .server inside it.")  # noqa: RUF009 - a path does not change
    base: str = setting("smollm2-135m", "Base model served beside the runs, and the one that jobs with an OpenAI model name train.")
    precision: str = setting("auto", "The number format that models compute in.", choices=("auto", "float32", "bfloat16"))
    device: str = setting("auto", "Where models compute.", choices=("auto", "cpu", "cuda", "mps"))
    job_config: Path | None = setting(None, "YAML or JSON file with settings that every fine-tuning job starts from.")  # noqa: RUF009 - as above
    engine: str = setting("local", "What computes the answers: this process, or a vLLM server behind it.", choices=ENGINES)
    vllm_url: str = setting("", "Address of a running vLLM server, for --engine vllm.")
    vllm_command: str = setting("", "vLLM program in an environment of its own, started for --engine vllm (path to `vllm`).")
    slots: int = setting(16, "Answers that one base model writes at the same time.")
    context: int = setting(2048, "Longest prompt with its answer in tokens; memory grows with slots times context.")
    prefill_chunk: int = setting(128, "Tokens of prompts that are read at once; answers of others wait no longer than that.")
    prefix_tokens: int = setting(8192, "Tokens of prompt beginnings whose keys and values are kept for the next request; 0 keeps none.")
    max_adapters: int = setting(16, "Adapters of one base held in memory; the least recently used gives way.")
    max_models: int = setting(2, "Whole models held in memory; the least recently used gives way.")
    max_queue: int = setting(64, "Requests that may wait; the next one gets 429.")
    max_jobs: int = setting(32, "Fine-tuning jobs and builds that may wait; the next one gets 429.")
    max_tokens: int = setting(1024, "Most tokens that one answer may have.")
    max_choices: int = setting(8, "Most answers to one request (n).")
    max_request_bytes: int = setting(2 << 20, "Largest request body.")
    max_upload_bytes: int = setting(200 << 20, "Largest uploaded file.")
    max_seconds: float = setting(300.0, "Longest time that one request may take, waiting included.")
    requests_per_minute: int = setting(600, "Requests a minute that one key may make.")
    log_prompts: bool = setting(False, "Write prompts and answers to the log as well.")

    def __post_init__(self) -> None:
        check_choices(self)
        positive = ("slots", "context", "prefill_chunk", "max_adapters", "max_models", "max_queue", "max_jobs", "max_tokens", "max_choices")
        amounts = ("max_request_bytes", "max_upload_bytes", "max_seconds", "requests_per_minute")
        check(
            self,
            **{name: (getattr(self, name) > 0, "must be above 0") for name in (*positive, *amounts)},
            port=(0 <= self.port < 65536, "must be a port number"),
            prefix_tokens=(self.prefix_tokens >= 0, "must not be negative"),
        )
        if not self.public and not is_loopback(self.host):
            raise SettingError(f"host={self.host!r}: other machines can reach this address", "Add --public if that is meant.")
        self._check_engine()

    def _check_engine(self) -> None:
        given = [name for name in ("vllm_url", "vllm_command") if getattr(self, name)]
        if self.engine != "vllm" and given:
            raise SettingError(f"{' and '.join(given)} cannot take effect with engine={self.engine!r}", "Add --engine vllm.")
        if self.engine == "vllm" and len(given) != 1:
            raise SettingError("engine='vllm' needs either vllm_url or vllm_command", "Give --vllm-url or --vllm-command.")

    @property
    def folder(self) -> Path:
        """Where the server keeps jobs, uploads and keys."""
        return self.runs / ".server"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
