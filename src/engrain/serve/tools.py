"""Tools over HTTP: what a request offers, told as training told it, and what an answer calls, as OpenAI gives it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engrain.errors import ExampleError
from engrain.examples import Message, told_first
from engrain.serve.bodies import ChatBody
from engrain.serve.failures import ApiError
from engrain.serve.grammar import ANY_OBJECT, checked
from engrain.tool_calls import CLOSE, OPEN, calls_in, function_of, system_text

BEGINNING = f"{OPEN}\n"
"""What an answer that has to call a tool begins with."""
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""How training writes calls; a model that never saw one would else fill its answer with line ends."""


@dataclass(frozen=True)
class Tools:
    """The functions that may be called; `form` is the JSON schema of the call that has to be made, empty where none has to be."""

    offered: tuple[Mapping[str, Any], ...] = ()
    several: bool = True
    form: str = ""

    def told(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The conversation with the tools in its system turn."""
        own = told_first(messages)
        return (Message("system", system_text(self.offered, own)), *messages[bool(own) :]) if self.offered else tuple(messages)

    def made(self, written: str) -> tuple[str, list[dict[str, Any]]]:
        """What an answer says, and its calls as OpenAI's `tool_calls`; a call of what was not offered stays text."""
        names = [str(function["name"]) for function in self.offered]
        said, calls = calls_in(f"{BEGINNING}{written}\n{CLOSE}" if self.form else written, names)
        return (said, [_call(call) for call in (calls if self.several else calls[:1])]) if calls else (written, [])


class Sieve:
    """An answer that is streamed: what of it is certain to be no call, and in the end its calls."""

    def __init__(self, tools: Tools) -> None:
        self.tools, self.written, self.sent = tools, "", ""

    def add(self, text: str) -> str:
        """The text that can be sent on now."""
        self.written += text
        before, opened, _ = self.written.partition(OPEN)
        held = 0 if opened else max((n for n in range(1, len(OPEN)) if before.endswith(OPEN[:n])), default=0)
        new = "" if self.tools.form else before[len(self.sent) : len(before) - held]
        self.sent += new
        return new

    def end(self) -> tuple[str, list[dict[str, Any]]]:
        """The text that is left to send, and the calls."""
        said, calls = self.tools.made(self.written)
        return said[len(self.sent.strip() if calls else self.sent) :], calls


def tools_of(body: ChatBody) -> Tools | None:
    """The tools of a request; None where there are none to call and none were called. Raises ApiError 400 for what cannot be told."""
    choice = body.tool_choice or "auto"
    if not body.tools or choice == "none":
        return Tools() if any(turn.role == "tool" or turn.tool_calls for turn in body.messages) else None
    if body.response_format and body.response_format.type != "text":
        raise ApiError(400, "response_format: not together with tools.", "unsupported_parameter", "response_format")
    try:
        offered = {str(function["name"]): function for function in (function_of(tool, n) for n, tool in enumerate(body.tools, 1))}
    except ExampleError as error:
        raise ApiError(400, f"{error.message[:1].upper()}{error.message[1:]}.", "invalid_value", "tools") from error
    forced = list(offered) if choice == "required" else [] if choice == "auto" else [_named(choice, offered)]
    form = checked({"anyOf": [_form(offered[name]) for name in forced], "x-guidance": SPACING}, "tools") if forced else ""
    return Tools(tuple(offered.values()), body.parallel_tool_calls is not False, form)


def _named(choice: Any, offered: Mapping[str, Any]) -> str:
    """The name in a `tool_choice` such as {"type": "function", "function": {"name": "opening_hours"}}."""
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if name not in offered:
        known = f"none, auto, required, or one of the tools that are offered ({', '.join(offered)})"
        raise ApiError(400, f"tool_choice={choice!r} must be {known}.", "invalid_value", "tool_choice")
    return str(name)


def _form(function: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a call."""
    properties = {"name": {"const": function["name"]}, "arguments": function.get("parameters") or ANY_OBJECT}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = call["arguments"] if isinstance(call["arguments"], str) else json.dumps(call["arguments"], ensure_ascii=False)
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": {"name": call["name"], "arguments": arguments}}
