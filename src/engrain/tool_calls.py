"""Tools as text: what a model may call, what it calls, and what came back, in words that every chat template carries.

The layout is that of Hermes and Qwen: tools as JSON in the system turn, calls and results between tags. A model that
learned from it calls tools in the same layout, so `calls_in` reads its answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from engrain.errors import ExampleError

OPEN, CLOSE = "<tool_call>", "</tool_call>"
RESULT_OPEN, RESULT_CLOSE = "<tool_response>", "</tool_response>"
CALLS = re.compile(rf"{OPEN}\s*(.*?)\s*{CLOSE}", re.DOTALL)
INTRODUCTION = (
    "You may call these tools. To call one, write a JSON object with name and arguments between "
    f"{OPEN} and {CLOSE}; its result comes between {RESULT_OPEN} and {RESULT_CLOSE}."
)


def function_of(tool: Any, number: int) -> dict[str, Any]:
    """The function of a tool with its name, description and parameters. Raises ExampleError where it has no name."""
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise ExampleError(f"tool {number} has no name")
    return {key: function[key] for key in ("name", "description", "parameters") if key in function}


def system_text(tools: Sequence[Mapping[str, Any]], instruction: str = "") -> str:
    """The system turn that offers tools (OpenAI's `tools`, or the older `functions`), after an `instruction` of its own."""
    offered = [json.dumps(function_of(tool, number), ensure_ascii=False) for number, tool in enumerate(tools, 1)]
    return "\n\n".join(part for part in (instruction.strip(), INTRODUCTION + "\n" + "\n".join(offered)) if part)


def call_text(calls: Sequence[Mapping[str, Any]], content: str = "") -> str:
    """An assistant's turn that calls tools (OpenAI's `tool_calls`, or one `function_call`), after what it says before."""
    texts = []
    for number, call in enumerate(calls, 1):
        function = call.get("function", call)
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ExampleError(f"call {number} names no function")
        texts.append(
            f"{OPEN}\n{json.dumps({'name': function['name'], 'arguments': _arguments(function, number)}, ensure_ascii=False)}\n{CLOSE}"
        )
    return "\n".join(part for part in (content.strip(), *texts) if part)


def result_text(content: str) -> str:
    """What a tool gave back, as the turn after its call."""
    return f"{RESULT_OPEN}\n{content.strip()}\n{RESULT_CLOSE}"


def calls_in(text: str, names: Collection[str] | None = None) -> tuple[str, list[dict[str, Any]]]:
    """What an answer says, and the calls it makes as {name, arguments}; a call that is no JSON object stays text.

    Where `names` of tools are given, so does a call of any other.
    """
    calls, kept = list[dict[str, Any]](), text
    for match in CALLS.finditer(text):
        try:
            call = json.loads(match[1])
        except ValueError:
            continue
        if isinstance(call, dict) and isinstance(call.get("name"), str) and (names is None or call["name"] in names):
            calls.append({"name": call["name"], "arguments": call.get("arguments", {})})
            kept = kept.replace(match[0], "", 1)
    return kept.strip(), calls


def _arguments(function: Mapping[str, Any], number: int) -> Any:
    """The arguments of a call; OpenAI writes them as JSON text."""
    given = function.get("arguments", {})
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given or "{}")
    except ValueError as error:
        raise ExampleError(f"the arguments of call {number} are not JSON: {error}") from error
