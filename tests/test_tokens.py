"""Tokens: what is supervised, and that a prompt is the beginning of the example it was trained with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from engrain.errors import ModelError
from engrain.examples import Message
from engrain.models import PLAIN_TEMPLATE, load_tokenizer, locate
from engrain.tokens import Encoded, encode_example, encode_prompt, passage, question_messages, shared_prefix

USER, ANSWER = Message("user", "When do you open?"), Message("assistant", "At 9:30.")
NO_SYSTEM = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FORGETFUL = "{% for message in messages[-2:] %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\uffff"), min_size=1, max_size=20)
risky = st.lists(st.one_of(words, st.sampled_from(["<|im_start|>", "<|im_end|>", "<|im_", "\n", " ", "system\n"])), min_size=1).map("".join)


def tokenizer_with(template: str, folder: Path):
    tiny.build(folder, template=template)
    return load_tokenizer(locate(str(folder)))


def conversation(texts: list[str]) -> list[Message]:
    return [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]


def test_only_the_answer_and_its_end_are_supervised(tiny_tokenizer):
    encoded = encode_example(tiny_tokenizer, [USER, ANSWER])
    assert tiny_tokenizer.decode(encoded.ids[encoded.supervised]) == "At 9:30.<|im_end|>"
    assert tiny_tokenizer.decode(encoded.ids).endswith("<|im_start|>assistant\nAt 9:30.<|im_end|>")
    assert encoded.ids.dtype == np.int32
    assert encoded.supervised.dtype == bool


def test_every_assistant_turn_is_supervised(tiny_tokenizer):
    encoded = encode_example(
        tiny_tokenizer, [Message("system", "Be brief."), USER, ANSWER, Message("user", "And on Sunday?"), Message("assistant", "Closed.")]
    )
    assert tiny_tokenizer.decode(encoded.ids[encoded.supervised]) == "At 9:30.<|im_end|>Closed.<|im_end|>"


def test_a_turn_of_weight_0_is_read_but_not_learned(tiny_tokenizer):
    messages = [USER, Message("assistant", "Hm.", weight=0), USER, ANSWER, USER, Message("assistant", "Hm.", weight=0)]
    encoded = encode_example(tiny_tokenizer, messages)
    assert tiny_tokenizer.decode(encoded.ids[encoded.supervised]) == "At 9:30.<|im_end|>"
    assert tiny_tokenizer.decode(encoded.ids).endswith("At 9:30.<|im_end|>")


def test_the_whole_is_what_the_template_says(tiny_tokenizer):
    messages = [Message("system", "Be brief."), USER, ANSWER]
    rows = [{"role": m.role, "content": m.content} for m in messages]
    rendered = tiny_tokenizer.apply_chat_template(rows, tokenize=False).rstrip()
    assert encode_example(tiny_tokenizer, messages).ids.tolist() == tiny_tokenizer.encode(rendered, add_special_tokens=False)


def test_the_default_system_message_of_the_template_stays(tiny_tokenizer):
    assert "You are helpful." in tiny_tokenizer.decode(encode_prompt(tiny_tokenizer, [USER]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(risky, min_size=2, max_size=6))
def test_each_prompt_is_the_beginning_of_its_example(tiny_tokenizer, texts):
    messages = conversation(texts)
    encoded = encode_example(tiny_tokenizer, messages)
    starts = np.flatnonzero(np.diff(encoded.supervised.astype(int), prepend=0) == 1)
    prompts = [encode_prompt(tiny_tokenizer, messages[:turn]) for turn in range(1, len(messages), 2)]
    assert [len(prompt) for prompt in prompts] == starts.tolist()
    assert all(encoded.ids[: len(prompt)].tolist() == prompt for prompt in prompts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=risky)
def test_a_text_never_acts_as_a_command(tiny_tokenizer, text):
    ids = encode_prompt(tiny_tokenizer, [Message("system", "S"), Message("user", text)])
    controls = [i for i in ids if i in tiny_tokenizer.all_special_ids]
    assert tiny_tokenizer.convert_ids_to_tokens(controls) == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert text in tiny_tokenizer.decode(ids)


def test_a_template_without_a_system_role_gets_it_with_the_first_turn(tmp_path):
    tokenizer = tokenizer_with(NO_SYSTEM, tmp_path)
    decoded = tokenizer.decode(encode_example(tokenizer, [Message("system", "Be brief."), USER, ANSWER]).ids)
    assert decoded == "<|im_start|>user\nBe brief.\n\nWhen do you open?<|im_end|>\n<|im_start|>assistant\nAt 9:30.<|im_end|>"


def test_a_template_that_refuses_is_a_model_error(tmp_path):
    tokenizer = tokenizer_with(NO_SYSTEM, tmp_path)
    with pytest.raises(ModelError, match="no system role"):
        encode_prompt(tokenizer, [Message("system", "Be brief.")])


def test_a_template_that_rewrites_history_is_a_model_error(tmp_path):
    tokenizer = tokenizer_with(FORGETFUL, tmp_path)
    with pytest.raises(ModelError, match="rewrites earlier turns"):
        encode_example(tokenizer, [USER, ANSWER, USER, ANSWER])


def test_a_base_without_a_template_gets_a_plain_one(tmp_path):
    tiny.build(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    tokenizer = load_tokenizer(locate(str(tmp_path)))
    assert tokenizer.chat_template == PLAIN_TEMPLATE
    encoded = encode_example(tokenizer, [USER, ANSWER])
    assert tokenizer.decode(encoded.ids) == "User: When do you open?\nAssistant: At 9:30.<|im_end|>"
    assert tokenizer.decode(encoded.ids[encoded.supervised]) == "At 9:30.<|im_end|>"


def test_a_conversation_without_an_answer_has_nothing_to_learn(tiny_tokenizer):
    assert len(encode_example(tiny_tokenizer, [USER])) == 0


def test_a_question_alone_and_with_passages():
    assert question_messages("When?") == (Message("user", "When?"),)
    (message,) = question_messages("When?", [passage("hours.md › Summer", "9 to 5\n"), passage("faq.md", "Closed on Sunday")])
    assert message.content == "[hours.md › Summer]\n9 to 5\n\n[faq.md]\nClosed on Sunday\n\nQuestion: When?"
    assert question_messages("And now?", history=[USER, ANSWER]) == (USER, ANSWER, Message("user", "And now?"))


def encoded(ids: list[int], first_supervised: int) -> Encoded:
    return Encoded(np.array(ids, dtype=np.int32), np.arange(len(ids)) >= first_supervised)


def test_shared_prefix():
    assert shared_prefix([]) == 0
    assert shared_prefix([encoded([1, 2, 3, 4], 3)]) == 3
    assert shared_prefix([encoded([1, 2, 3, 4], 3), encoded([1, 2, 9], 2)]) == 2
    assert shared_prefix([encoded([1, 2, 3, 4], 3), encoded([1, 2, 3, 4], 1)]) == 1
    assert shared_prefix([encoded([1, 2], 2), encoded([7, 2], 2)]) == 0


@pytest.mark.model
def test_the_embedded_base_encodes_as_it_was_trained():
    tokenizer = load_tokenizer(locate("smollm2-135m"))
    assert tokenizer.eos_token == "<|im_end|>"
    assert len(tokenizer.encode("\n\n2024", add_special_tokens=False)) == 5, "two newlines are one token, each digit its own"
    encoded = encode_example(tokenizer, [USER, ANSWER])
    prompt = encode_prompt(tokenizer, [USER])
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert tokenizer.decode(prompt).startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
