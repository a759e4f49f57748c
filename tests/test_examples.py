"""Examples: every format people bring, and every way it can be wrong, with the line it is wrong in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engrain.errors import ExampleError, SettingError
from engrain.examples import (
    Example,
    Message,
    example_from_row,
    example_to_row,
    held_out,
    learned,
    practised,
    read_examples,
    usual_system,
    which,
)
from engrain.tool_calls import calls_in

PAIR = (Message("user", "When do you open?"), Message("assistant", "At 9:30."))
ASK, TELL = PAIR[0].content, PAIR[1].content
ROWS = {
    "messages": {"messages": [{"role": "user", "content": ASK}, {"role": "assistant", "content": TELL}], "metadata": {"a": 1}},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": ASK}]}, {"role": "assistant", "content": TELL}]},
    "prompt and completion": {"prompt": ASK, "completion": TELL},
    "turns as prompt": {"prompt": [{"role": "user", "content": ASK}], "completion": [{"role": "assistant", "content": TELL}]},
    "alpaca": {"instruction": ASK, "input": "", "output": TELL, "text": "all of it"},
    "sharegpt": {"id": "x", "conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": TELL}]},
    "question and answer": {"question": ASK, "answer": TELL},
    "query and response": {"query": ASK, "response": TELL, "score": 3},
}
GOOD = json.dumps(ROWS["question and answer"])


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def reasons(path):
    with pytest.raises(ExampleError) as caught:
        read_examples(path)
    return [problem.removeprefix(str(path)) for problem in caught.value.problems]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_every_format_says_the_same(row):
    assert example_from_row(row) == Example(PAIR)


def test_alpaca_input_follows_the_instruction():
    example = example_from_row({"instruction": "Translate.", "input": "Bonjour", "output": "Hello"})
    assert example.messages[0].content == "Translate.\n\nBonjour"


def test_roles_of_other_names_and_weights():
    turns = [("developer", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Bye")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    row["messages"][2]["weight"] = 0
    messages = example_from_row(row).messages
    assert [message.role for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert [message.weight for message in messages] == [1, 1, 0, 1, 1]
    assert example_to_row(Example(messages))["messages"][2]["weight"] == 0


PERSONA, EARLIER = Message("system", "You mend kites."), (Message("user", "Hello"), Message("assistant", "Hi."))


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        (ROWS["sharegpt"] | {"system": "You mend kites."}, (PERSONA, *PAIR)),
        (ROWS["messages"] | {"system": "You mend kites.", "tools": "[]"}, (PERSONA, *PAIR)),
        (ROWS["sharegpt"] | {"system": "", "tools": "null"}, PAIR),
        (ROWS["alpaca"] | {"system": "You mend kites.", "history": [["Hello", "Hi."]]}, (PERSONA, *EARLIER, *PAIR)),
        (ROWS["alpaca"] | {"system": None, "history": '[["Hello", "Hi."]]'}, (*EARLIER, *PAIR)),
        (ROWS["alpaca"] | {"history": []}, PAIR),
        (ROWS["question and answer"] | {"system": "heating"}, PAIR),
    ],
)
def test_what_a_row_says_beside_its_turns_is_kept(row, messages):
    assert example_from_row(row) == Example(messages)


def test_a_system_text_stands_before_one_among_the_turns():
    own = {"role": "system", "content": "Be brief."}
    row = {"system": "You mend kites.", "messages": [own, *ROWS["messages"]["messages"]]}
    assert example_from_row(row).messages[0] == Message("system", "You mend kites.\n\nBe brief.")
    assert example_from_row(row | {"system": "Be brief."}).messages[0] == Message("system", "Be brief.")


def test_of_ever_other_system_texts_only_some_are_told_apart(monkeypatch):
    monkeypatch.setattr("engrain.examples.MOST_TOLD", 3)
    others, usual = ([Example((Message("system", text), *PAIR)) for text in texts] for texts in ("abcde", ["You mend kites."] * 9))
    assert usual_system([*usual, *others]) == usual_system([*others[:2], *usual, *others]) == "You mend kites."
    assert usual_system(others) == ""


def test_the_usual_system_text_is_that_of_most_conversations():
    told, other, untold = (Example((*first, *PAIR)) for first in ((PERSONA,), (Message("system", "Be brief."),), ()))
    assert usual_system([told, told, other]) == "You mend kites."
    assert usual_system([told, other]) == ""
    assert usual_system([untold, untold, told]) == ""
    assert usual_system([]) == ""


def test_an_empty_system_turn_is_left_out():
    row = {"messages": [{"role": "system", "content": ""}, *ROWS["messages"]["messages"]]}
    assert example_from_row(row) == Example(PAIR)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": ASK, "answer": "  "}, "the answer is empty"),
        ({"question": ASK, "answer": None}, "the answer is empty"),
        ({"question": "", "answer": TELL}, r"turn 1 \(user\) is empty"),
        ({"question": ASK, "answer": 42}, "answer must be text, not int"),
        ({"text": "a story"}, "no known format.*text.*name them question and answer"),
        ({}, "no known format"),
        ({"messages": []}, "must be a list of turns"),
        ({"messages": "Hi"}, "must be a list of turns"),
        ({"messages": ["Hi"]}, "turn 1 must be an object"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "no assistant turn"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi", "weight": 0}]}, "no assistant turn"),
        ({"messages": [{"role": "assistant", "content": "Hi", "weight": 0.5}]}, "weight 0.5"),
        ({"messages": [{"role": "narrator", "content": "Hi"}]}, "role 'narrator'"),
        ({"messages": [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Bye"}]}, "the assistant speaks first"),
        ({"messages": [{"content": "Hi"}]}, "role None"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "call 1 names no function"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [{"name": "a"}]}]}, "only the assistant can"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}]},
            "arguments of call 1 are not JSON",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": {"name": "a"}}]}, "turn 1: its calls must be a list of objects"),
        ({"messages": [{"role": "assistant", "tool_calls": "search"}]}, "turn 1: its calls must be a list of objects"),
        ({"messages": [{"role": "assistant", "tool_calls": ["search"]}]}, "turn 1: its calls must be a list of objects"),
        ({"messages": [{"role": "assistant", "function_call": "search"}]}, "turn 1: its calls must be a list of objects"),
        ({"conversations": [{"from": "function_call", "value": "no"}]}, "a call is not JSON"),
        ({"messages": ROWS["messages"]["messages"], "tools": "search, weather"}, "its tools are not JSON"),
        ({"messages": ROWS["messages"]["messages"], "tools": [{}]}, "tool 1 has no name"),
        ({"messages": ROWS["messages"]["messages"], "tools": {"a": 1}}, "its tools must be a list"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "turn 1 must be text, not list"),
        ({"question": "\ud800", "answer": "x"}, "half a character"),
        (ROWS["alpaca"] | {"history": [["Hello"]]}, "its history must be a list of pairs"),
        (ROWS["alpaca"] | {"system": 3}, "system must be text, not int"),
        (ROWS["alpaca"] | {"repeats": -1}, "repeats=-1: it must be a whole number from 0"),
        (ROWS["alpaca"] | {"repeats": "5"}, "repeats='5'"),
    ],
)
def test_what_cannot_be_used_says_why(row, reason):
    with pytest.raises(ExampleError, match=reason):
        example_from_row(row)


def test_all_bad_lines_are_reported_together(file):
    path = file("a.jsonl", f'{GOOD}\n{{"question": \n\n[1]\n{GOOD}\n{{"question": "Q", "answer": ""}}\n')
    found = reasons(path)
    assert [reason.partition(": ")[0] for reason in found] == [":2", ":4", ":6"]
    assert "not JSON" in found[0]
    assert "must be an object, not list" in found[1]
    assert "the answer is empty" in found[2]


def test_one_reason_for_all_rows_is_said_once(file):
    assert reasons(file("a.csv", "date,amount\n1,2\n3,4\n")) == [
        "every row: no known format (its columns are date, amount); name them question and answer"
    ]


def test_line_ends_and_byte_marks_of_other_systems(file):
    for content in (f"{GOOD}\r\n{GOOD}\r\n".encode(), b"\xef\xbb\xbf" + GOOD.encode(), f"{GOOD}\n".encode("utf-16")):
        assert read_examples(file("a.jsonl", content))[0] == Example(PAIR)


def test_a_line_separator_inside_a_text_ends_no_line(file):
    row = json.dumps({"question": ASK, "answer": "one\u2028two"}, ensure_ascii=False)
    assert read_examples(file("a.jsonl", row))[0].messages[1].content == "one\u2028two"


def test_another_encoding_is_named_with_its_line(file):
    with pytest.raises(ExampleError, match=r"a\.jsonl:2: not valid UTF-8"):
        read_examples(file("a.jsonl", GOOD.encode() + b'\n{"question": "caf\xe9"}'))


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file(file, content):
    with pytest.raises(ExampleError, match="is empty"):
        read_examples(file("a.jsonl", content))


def test_files_that_hold_no_row(file):
    for name, content in (("a.json", "[]"), ("a.csv", "question,answer\n")):
        with pytest.raises(ExampleError, match="holds no rows"):
            read_examples(file(name, content))


def test_json_as_a_list_a_row_or_lines(file):
    for content in (f"[{GOOD}]", GOOD, f"{GOOD}\n{GOOD}", json.dumps(json.loads(GOOD), indent=2)):
        assert read_examples(file("a.json", content))[0] == Example(PAIR)
    assert reasons(file("b.json", f'[{GOOD}, 7, {{"question": "Q"}}]'))[0] == ", row 2: a row must be an object, not int"
    with pytest.raises(ExampleError, match=r"c\.json:2: not JSON"):
        read_examples(file("c.json", f"[{GOOD},\n oops]"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables(file, delimiter):
    lines = [["Question ", "ANSWER", "note"], ['"When?\nToday"', '"At ""nine"""', ""], ["Where?", "Here", "x"]]
    examples = read_examples(file("a.csv", "\r\n".join(delimiter.join(cells) for cells in lines)))
    assert [message.content for message in examples[0].messages] == ["When?\nToday", 'At "nine"']
    assert len(examples) == 2


def test_a_table_row_of_another_width_is_named_with_its_line(file):
    with pytest.raises(ExampleError, match=":1: not CSV"):
        read_examples(file("a.csv", f"question,{'x' * 140_000}\nWhy?,So.\n"))
    assert reasons(file("a.csv", 'question,answer\n"two\nlines",fine\nWhy?,a,b\n')) == [":4: 3 columns where the header has 2"]


def test_parquet_without_pyarrow_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ExampleError, match="pip install pyarrow"):
        read_examples(file("a.parquet", b"PAR1"))


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([ROWS["messages"]]), tmp_path / "a.parquet")
    assert read_examples(tmp_path / "a.parquet") == [Example(PAIR)]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ExampleError, match="No such file"):
        read_examples(tmp_path / "none.jsonl")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ExampleError, match="cannot be read"):
        read_examples(tmp_path / "folder.csv")
    with pytest.raises(ExampleError, match=r"\.docx"):
        read_examples(tmp_path / "a.docx")


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(str.strip)


@given(
    st.lists(
        st.builds(
            lambda q, a, fact: Example((Message("user", q), Message("assistant", a)), "question", "f1", fact), texts, texts, st.text("ab")
        )
    )
)
def test_written_examples_are_read_back(tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("examples") / "train.jsonl"
    path.write_text("".join(json.dumps(example_to_row(example)) + "\n" for example in examples))
    read = read_examples(path) if examples else []
    assert read == examples
    assert [example.place for example in read] == [f"{path}:{line}" for line in range(1, len(read) + 1)]


def split(examples: list[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    out = held_out(examples, share, seed)
    return list(which(examples, ~out)), list(which(examples, out))


def test_a_fact_is_never_on_both_sides():
    examples = [Example((Message("user", str(i)), Message("assistant", "a")), fact=f"fact{i % 10}") for i in range(50)]
    train, heldout = split(examples, 0.3, seed=1)
    assert len(heldout) == 15
    assert len(train) == 35
    assert not {e.fact for e in train} & {e.fact for e in heldout}
    assert split(examples, 0.3, seed=1) == (train, heldout)
    assert split(examples, 0.3, seed=2) != (train, heldout)


def test_examples_without_a_fact_are_split_by_row():
    examples = [Example((Message("user", str(i)), Message("assistant", "a"))) for i in range(10)]
    assert [len(part) for part in split(examples, 0.2, seed=0)] == [8, 2]
    assert [len(part) for part in split(examples, 0.01, seed=0)] == [9, 1]
    assert [len(part) for part in split(examples, 0.0, seed=0)] == [10, 0]
    assert [len(part) for part in split(examples[:1], 0.5, seed=0)] == [1, 0]
    assert split([], 0.5, seed=0) == ([], [])


def test_what_asks_the_same_is_never_on_both_sides():
    asked = [f"What does item {i} cost?" for i in range(20)]
    examples = [Example((Message("user", text), Message("assistant", "a"))) for text in (*asked, *map(str.upper, asked))]
    train, heldout = split(examples, 0.2, seed=3)
    assert (len(train), len(heldout)) == (32, 8)
    assert not {e.messages[0].content.upper() for e in train} & {e.messages[0].content.upper() for e in heldout}
    speeches = [Example((Message("assistant", str(i)),)) for i in range(10)]
    assert [len(part) for part in split(speeches, 0.2, seed=0)] == [8, 2]


def test_a_share_that_is_none():
    with pytest.raises(SettingError, match=r"share=1\.5"):
        split([], 1.5, seed=0)


WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"town": "Bonn"}}\n</tool_call>'


def test_tools_calls_and_results_become_text_that_is_learned():
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Bonn"}'}}]
    row = {
        "tools": [WEATHER],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "1", "content": "dry"},
            {"role": "assistant", "content": "No."},
        ],
    }
    system, ask, call, result, tell = example_from_row(row).messages
    assert system.content.startswith("Be brief.")
    assert '"name": "weather", "description": "The weather."' in system.content
    assert call == Message("assistant", CALL)
    assert result == Message("user", "<tool_response>\ndry\n</tool_response>")
    assert (ask.content, tell.content) == ("Rain?", "No.")
    again = example_from_row(example_to_row(example_from_row(row)))
    assert again == example_from_row(row), "what was written is read again as it is"


def test_results_that_follow_on_one_another_are_one_turn():
    calls = [{"function": {"name": "weather", "arguments": f'{{"town": "{town}"}}'}} for town in ("Bonn", "Kiel")]
    results = [{"role": "tool", "content": said} for said in ("dry", "wet")]
    ask, tell = {"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "In Kiel."}
    messages = example_from_row({"messages": [ask, {"role": "assistant", "tool_calls": calls}, *results, tell]}).messages
    assert [m.role for m in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[2].content == "<tool_response>\ndry\n</tool_response>\n<tool_response>\nwet\n</tool_response>"


def test_tools_as_sharegpt_writes_them():
    row = {
        "tools": json.dumps([{"name": "weather"}]),
        "conversations": [
            {"from": "human", "value": "Rain?"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"town": "Bonn"}}'},
            {"from": "observation", "value": "dry"},
            {"from": "gpt", "value": "No."},
        ],
    }
    messages = example_from_row(row).messages
    assert [m.role for m in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert messages[2].content == CALL


def test_calls_that_follow_on_one_another_are_one_turn():
    def call(town: str, **rest: int) -> dict[str, object]:
        return {"from": "function_call", "value": json.dumps({"name": "weather", "arguments": {"town": town}}), **rest}

    ask, tell = {"from": "human", "value": "Rain?"}, {"from": "gpt", "value": "In Kiel."}
    results = [{"from": "observation", "value": said} for said in ("dry", "wet")]
    messages = example_from_row({"conversations": [ask, call("Bonn"), call("Kiel"), *results, tell]}).messages
    assert [m.role for m in messages] == ["user", "assistant", "user", "assistant"]
    assert calls_in(messages[1].content) == ("", [{"name": "weather", "arguments": {"town": town}} for town in ("Bonn", "Kiel")])
    apart = example_from_row({"conversations": [ask, call("Bonn", weight=0), call("Kiel"), *results, tell]}).messages
    assert [m.weight for m in apart if m.role == "assistant"] == [0, 1, 1], "a call that is only read stays apart from one that is learned"


def test_the_last_turn_alone_can_be_learned():
    turns = [("user", "a", 1), ("assistant", "b", 1), ("user", "c", 1), ("assistant", "d", 1), ("user", "e", 1), ("assistant", "f", 0)]
    example = Example(tuple(Message(*turn) for turn in turns))
    assert learned(example, "all") == example
    weights = [m.weight for m in learned(example, "last").messages if m.role == "assistant"]
    assert weights == [0, 1, 0]


def test_an_example_is_practised_as_often_as_it_says():
    often, once, never = (example_from_row(ROWS["messages"] | {"repeats": repeats}) for repeats in (3, None, 0))
    assert practised([often, once, never]) == [often] * 3 + [once]
    assert example_to_row(often)["repeats"] == 3
    assert "repeats" not in example_to_row(once)
