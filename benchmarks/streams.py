"""What a streamed answer of an OpenAI-compatible server says, line by line."""

from __future__ import annotations

import json
from typing import Any


class Seen:
    """What a stream has said so far; `whole` once it said that it is at its end."""

    def __init__(self) -> None:
        self.pieces, self.tokens, self.error, self.whole = list[str](), 0, "", False

    def take(self, line: str) -> bool:
        """Read a line; whether it brought more of the answer."""
        data = line.removeprefix("data: ")
        if data == line or data == "[DONE]":
            self.whole = self.whole or (data == "[DONE]" and not self.error)
            return False
        said: dict[str, Any] = json.loads(data)
        if "error" in said:
            self.error = str(said["error"].get("code"))
            return False
        self.tokens = (said.get("usage") or {}).get("completion_tokens", self.tokens)
        content = said["choices"][0]["delta"].get("content") if said.get("choices") else ""
        if content:
            self.pieces.append(content)
        return bool(content)
