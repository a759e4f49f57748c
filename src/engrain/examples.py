"""Training examples and test questions: the rows everything after the documents works on.

Examples are read from JSON Lines, JSON, CSV and Parquet. A row may be a conversation as OpenAI's fine-tuning takes it
(`messages`), as ShareGPT writes it (`conversations`), an Alpaca row (`instruction`, `input`, `output`, earlier turns in
`history`), each with a `system` text beside its turns if it has one, or a question with its answer under any of the names
in QUESTION and ANSWER (`prompt` and `completion` among them). Tools, their calls and results become text (see `tool_calls`).
Written are `messages` rows, with where each came from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from engrain import tool_calls
from engrain.errors import ExampleError, SettingError
from engrain.files import short_hash
from engrain.rows import each_parsed
from engrain.settings import check_choices, setting
from engrain.words import canonical

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "function_call": "assistant", "tool_call": "assistant",
    "tool": "user", "function": "user", "observation": "user", "tool_response": "user",
}  # fmt: skip
RESULTS = ("tool", "function", "observation", "tool_response")
"""Roles whose turns are what a tool gave back; a chat template gets them as a user's turn (see `tool_calls`)."""
CALLS = ("function_call", "tool_call")
"""Roles of ShareGPT whose turns are a call that the assistant makes."""
QUESTION = ("question", "prompt", "query", "instruction", "input", "user", "q")
ANSWER = ("answer", "completion", "response", "output", "reply", "assistant", "a")
PROVENANCE = ("kind", "form", "fact", "document", "place")
TURNS = ("messages", "conversations", "conversation")
TOOLS = ("tools", "functions")
MOST_REPEATS = 100
MOST_TOLD = 10_000
MOST_HELD_OUT = 1000
"""Groups of examples that are held out at most; no more of them are read or asked."""


@dataclass(frozen=True)
class ChatSettings:
    """What is learned of a conversation."""

    turns: str = setting(
        "all", "Assistant turns to learn of each conversation: all (of weight 1), or the last only.", choices=("all", "last")
    )

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant.

    An assistant turn of `weight` 0 is read but not learned, as in OpenAI's format.
    """

    role: str
    content: str
    weight: int = 1


@dataclass(frozen=True)
class Example:
    """A conversation to learn from; the loss counts on its assistant turns only.

    `kind` says what it practises (question, reverse, statement, unanswerable, replay, own), `form` which wording
    it uses, `fact` and `document` what it is about, `place` the file and line it was read from; empty where they do not
    apply. `edited` marks what people changed or added by hand. A pass over the examples practises it `repeats` times;
    0 where it only leads to another that asks the same (see `Retriever.known_words`).
    """

    messages: tuple[Message, ...]
    kind: str = "own"
    form: str = ""
    fact: str = ""
    document: str = ""
    place: str = field(default="", compare=False)
    edited: bool = False
    repeats: int = 1


@dataclass(frozen=True)
class Question:
    """A test question; a reply is right if it contains any of `answers`, or declines where `kind` is unanswerable.

    `history` holds the earlier turns of the talk that it follows on, each a question with its answer; `system` is what stands before.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    kind: str = "direct"
    source: str = ""
    history: tuple[tuple[str, str], ...] = ()
    system: str = ""

    @property
    def whole(self) -> str:
        """The questions of the talk, one after the other."""
        return " › ".join([*(earlier for earlier, _ in self.history), self.question])


def talk(messages: Sequence[Message]) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """What the system is told first (or nothing), the turns before the last question, each a question with its answer, and that question.

    Raises ExampleError for messages that are not question and answer in turn with a question last.
    """
    system = told_first(messages)
    messages = messages[bool(system) :]
    roles = [message.role for message in messages]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        _fail("its messages must be user and assistant in turn, and end with the user's question; one of the system may stand first")
    texts = [message.content for message in messages]
    return system, tuple(zip(texts[:-1:2], texts[1::2], strict=True)), texts[-1]


def told_first(messages: Sequence[Message]) -> str:
    """What the system says first, "" where it says nothing."""
    return messages[0].content if messages and messages[0].role == "system" else ""


class Told:
    """What the system says first in conversations, counted: of ever other texts no more than the first MOST_TOLD are told apart."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._all = 0

    def count(self, example: Example) -> None:
        """Add a conversation."""
        text = told_first(example.messages)
        self._all += 1
        if text in self._counts or len(self._counts) < MOST_TOLD:
            self._counts[text] += 1

    @property
    def usual(self) -> str:
        """What is said in more than half of them; "" where that is nothing, or always something else."""
        text, count = max(self._counts.items(), key=lambda item: item[1], default=("", 0))
        return text if 2 * count > self._all else ""


def usual_system(examples: Iterable[Example]) -> str:
    """What the system says first in more than half of the conversations (see `Told`)."""
    told = Told()
    for example in examples:
        told.count(example)
    return told.usual


def each_example(path: str | Path) -> Iterator[Example]:
    """The examples of a .jsonl, .json, .csv, .tsv or .parquet file, one after the other.

    Raises, after the last, ExampleError that lists every row that cannot be used, with file and line.
    """
    return each_parsed(path, lambda row: replace(example_from_row(row.values), place=row.place))


def check_examples(path: str | Path) -> None:
    """Raise ExampleError where rows of a file cannot be used, as `each_example` does."""
    for _ in each_example(path):
        pass


def read_examples(path: str | Path) -> list[Example]:
    """The examples of a file. Raises ExampleError as `each_example` does."""
    return list(each_example(path))


def example_to_row(example: Example) -> dict[str, Any]:
    """The example as a `messages` row that says where it came from; `weight` is there only where it is 0, `edited` and `repeats`
    where they say something.
    """
    row = asdict(example)
    row = {key: value for key, value in row.items() if (key, value) not in (("edited", False), ("repeats", 1))}
    return {"messages": [turn if turn.pop("weight") else turn | {"weight": 0} for turn in row.pop("messages")], **row}


def example_from_row(row: dict[str, Any]) -> Example:
    """The example that a row of any known format holds; other keys are left out. Raises ExampleError with the reason."""
    messages = [message for message in _conversation(row) if message.content.strip() or message.role != "system"]
    for number, message in enumerate(messages, 1):
        if not message.content.strip():
            _fail("the answer is empty" if message.role == "assistant" else f"turn {number} ({message.role}) is empty")
    if not any(message.role == "assistant" and message.weight for message in messages):
        _fail("there is no assistant turn to learn from")
    if next(message.role for message in messages if message.role != "system") == "assistant":
        _fail("the assistant speaks first; a conversation begins with what is answered")
    repeats = 1 if row.get("repeats") is None else row["repeats"]  # a table's cell may be empty
    if isinstance(repeats, bool) or not isinstance(repeats, int) or not 0 <= repeats <= MOST_REPEATS:
        _fail(f"repeats={repeats!r}: it must be a whole number from 0 to {MOST_REPEATS}")
    given = {key: row[key] for key in PROVENANCE if isinstance(row.get(key), str)}
    return Example(tuple(messages), **given, edited=row.get("edited") is True, repeats=repeats)


def practised(examples: Iterable[Example]) -> list[Example]:
    """The examples of one pass: each as often as it is practised."""
    return [example for example in examples for _ in range(example.repeats)]


def held_out(examples: Iterable[Example], share: float, seed: int) -> np.ndarray:
    """Which of N examples are held out: (N,) bool, about `share` of them and at most MOST_HELD_OUT groups.

    A group are those of one fact, or that ask the same; it stays together.
    """
    if not 0 <= share < 1:
        raise SettingError(f"share={share}: it must be at least 0 and below 1", "Change it and start again.")
    groups_N = np.fromiter((_group(number, example) for number, example in enumerate(examples)), np.uint64)
    order = np.random.default_rng(seed).permutation(np.unique(groups_N))
    wanted = min(round(share * len(order)) or (share > 0), MOST_HELD_OUT, len(order) - 1)
    return np.isin(groups_N, order[: max(wanted, 0)])


def _group(number: int, example: Example) -> int:
    """What stands for the group of example `number`."""
    key = (example.fact,) if example.fact else ("", *(asked_with(example) or [str(number), ""]))
    return short_hash("\0".join(key).encode())


def which(examples: Iterable[Example], wanted_N: np.ndarray) -> Iterator[Example]:
    """Those of N examples that are wanted (N,), one after the other."""
    return (example for example, wanted in zip(examples, wanted_N, strict=True) if wanted)


def learned(example: Example, turns: str) -> Example:
    """The example with the assistant turns to learn of it: all, or the last alone (`ChatSettings.turns`)."""
    if turns == "all":
        return example
    last = last_answer(example)
    return replace(example, messages=tuple(replace(m, weight=m.weight * (i == last)) for i, m in enumerate(example.messages)))


def last_answer(example: Example) -> int:
    """The number of the last turn that is learned."""
    return max(i for i, message in enumerate(example.messages) if message.role == "assistant" and message.weight)


def exchange(example: Example) -> tuple[Message, ...]:
    """The conversation up to the last answer that is learned."""
    return example.messages[: last_answer(example) + 1]


def users_turns(example: Example) -> list[str]:
    """What the user says before the last answer that is learned."""
    return [message.content for message in exchange(example) if message.role == "user"]


def asked_in(example: Example) -> tuple[str, ...]:
    """What an example asks, the same however it is spelled."""
    return tuple(map(canonical, users_turns(example)))


def asked_with(example: Example) -> tuple[str, ...]:
    """What an example asks, and what the system says before."""
    system = [canonical(message.content) for message in exchange(example) if message.role == "system"]
    return (*system, *asked_in(example))


def _conversation(row: dict[str, Any]) -> list[Message]:
    messages = messages_of(row)
    tools = next((row[key] for key in TOOLS if row.get(key)), None)
    tools = _json(tools, "its tools are") if isinstance(tools, str) else tools  # ShareGPT's rows hold them as text
    if not tools:
        return messages
    if not isinstance(tools, list):
        _fail("its tools must be a list")
    own = told_first(messages)
    rest = messages[1:] if own else messages
    return [Message("system", tool_calls.system_text(tools, own)), *rest]


def _with_system(row: dict[str, Any], messages: list[Message]) -> list[Message]:
    """The turns after the system text that a conversation or an Alpaca row has beside them; it stands before one among them."""
    text = _text(row.get("system"), "system") if "output" in row or any(key in row for key in TURNS) else ""
    if not text.strip():
        return messages
    own, rest = (messages[0].content, messages[1:]) if messages[0].role == "system" else ("", messages)
    return [Message("system", "\n\n".join(dict.fromkeys(part for part in (text, own) if part.strip()))), *rest]


def messages_of(row: dict[str, Any]) -> list[Message]:
    """The turns of a row of any known format, the system's first, without its tools. Raises ExampleError with the reason."""
    return _with_system(row, _turns_of(row))


def _turns_of(row: dict[str, Any]) -> list[Message]:
    for key in TURNS:
        if key in row:
            return _turns(row[key], key)
    if row.get("instruction") is not None and "output" in row:
        parts = [_text(row[key], key) for key in ("instruction", "input") if row.get(key)]
        return [*_history(row), Message("user", "\n\n".join(parts)), Message("assistant", _text(row["output"], "output"))]
    question, answer = (next((key for key in names if key in row), None) for names in (QUESTION, ANSWER))
    if question is None or answer is None:
        _fail(f"no known format (its columns are {', '.join(map(str, row)) or 'none'}); name them question and answer")
    return [*_either(row[question], question, "user"), *_either(row[answer], answer, "assistant")]


def _history(row: dict[str, Any]) -> list[Message]:
    """The earlier turns of an Alpaca row: a list of pairs of question and answer, as text in a table's cell."""
    pairs = row.get("history") or []
    pairs = _json(pairs, "its history is") if isinstance(pairs, str) else pairs
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        _fail("its history must be a list of pairs of question and answer")
    return [Message(role, _text(said, "history")) for pair in pairs for role, said in zip(("user", "assistant"), pair, strict=True)]


def _either(value: Any, key: str, role: str) -> list[Message]:
    """A column of a prompt/completion row: a text, or a list of turns."""
    return _turns(value, key) if isinstance(value, list) else [Message(role, _text(value, key))]


def _turns(value: Any, key: str) -> list[Message]:
    """The turns; results, and calls, that follow on one another are one turn, because chat templates want the roles in turn."""
    if not isinstance(value, list) or not value:
        _fail(f"{key!r} must be a list of turns, and not an empty one")
    turns = [_turn(turn, number) for number, turn in enumerate(value, 1)]
    made = turns[:1]
    for message, turn, before in zip(turns[1:], value[1:], value, strict=False):
        again = any(_role(turn) in roles and _role(before) in roles for roles in (RESULTS, CALLS))
        if again and message.weight == made[-1].weight:
            made[-1] = replace(made[-1], content=f"{made[-1].content}\n{message.content}")
        else:
            made.append(message)
    return made


def _role(turn: dict[str, Any]) -> Any:
    return turn.get("role", turn.get("from"))


def _turn(turn: Any, number: int) -> Message:
    if not isinstance(turn, dict):
        _fail(f"turn {number} must be an object with role and content")
    role = _role(turn)
    if not isinstance(role, str) or role not in ROLES:
        _fail(f"turn {number} has the role {role!r}; known are system, user, assistant and tool")
    weight = turn.get("weight")
    if weight not in (None, 0, 1):
        _fail(f"turn {number} has the weight {weight!r}; it must be 0 or 1")
    content = _text(turn.get("content", turn.get("value")), f"turn {number}")
    return Message(ROLES[role], _with_tools(turn, role, content, number), 0 if weight == 0 else 1)


def _with_tools(turn: dict[str, Any], role: str, content: str, number: int) -> str:
    """The content of a turn with the calls it makes, or as the result it is."""
    if role in RESULTS:
        return tool_calls.result_text(content)
    if role in CALLS:  # the call is the content
        return tool_calls.call_text([_object(content)])
    calls = turn.get("tool_calls") or [turn[key] for key in ("function_call",) if turn.get(key)]
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        _fail(f"turn {number}: its calls must be a list of objects")
    if calls and ROLES[role] != "assistant":
        _fail(f"a {role} turn calls a tool; only the assistant can")
    return tool_calls.call_text(calls, content) if calls else content


def _object(text: str) -> dict[str, Any]:
    found = _json(text, "a call is")
    return found if isinstance(found, dict) else _fail("a call must be a JSON object")


def _json(text: str, what: str) -> Any:
    """What a cell of JSON holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        _fail(f"{what} not JSON: {error}")


def _text(value: Any, what: str) -> str:
    """The text of a cell; OpenAI also writes it as a list of parts."""
    if isinstance(value, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        value = "\n".join(part["text"] for part in value)
    if value is None:
        return ""
    if not isinstance(value, str):
        _fail(f"{what} must be text, not {type(value).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        _fail(f"{what} has half a character (a lone surrogate)")
    return str(value)


def _fail(reason: str) -> NoReturn:
    raise ExampleError(reason)
