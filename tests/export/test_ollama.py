"""The recipe for Ollama: its template writes what the chat template writes, or is not written at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from words import tokenizer_of

import tiny
from engrain import api
from engrain.errors import ModelError
from engrain.export._go_template import TALKS, go_template
from engrain.models import PLAIN_TEMPLATE

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
THINKING = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n\n</think>\n{% endif")
FORMS = {"chatml": CHATML, "usual system": tiny.CHATML, "llama 3": LLAMA3, "zephyr": ZEPHYR, "plain": PLAIN_TEMPLATE, "thinking": THINKING}
MORE = {
    "order": "{% for m in messages %}{% if m.role != messages[loop.index0 - 1].role %}x{% endif %}{{ m.content }}{% endfor %}",
    "numbers": "{% for m in messages %}{{ loop.index }}: {{ m.content }}\n{% endfor %}",
    "no system": "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}",
    "quotes": CHATML.replace("<|im_end|>", '"""'),
}


def rendered(tokenizer: Any, talk: Any) -> str:
    rows = [{"role": role, "content": words} for role, words in talk]
    return str(tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True))


def gone(text: str, talk: Any, system: str) -> str:
    """What Go's text/template makes of our templates: literal text, a range over the messages, a chain of conditions."""
    start, body, on = re.fullmatch(r"(.*?)\{\{ range \.Messages \}\}(.*)\{\{ end \}\}\{\{ end \}\}(.*)", text, re.DOTALL).groups()
    cases = re.findall(r'(?:if|else if) eq \.Role "(\w+)" \}\}(.*?)(?=\{\{ else if|\Z)', body, re.DOTALL)
    turns = [*([("system", system)] if system and talk[0][0] != "system" else []), *talk]
    return start + "".join(dict(cases)[role].replace("{{ .Content }}", words) for role, words in turns) + on


@pytest.mark.parametrize("name", FORMS)
def test_the_template_says_the_same(name: str) -> None:
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.chat_template = FORMS[name]
    found = go_template(tokenizer)
    assert found is not None
    assert bool(found.system) == (name == "usual system")
    for talk in (*TALKS, (("user", "What?"), ("assistant", "That."), ("user", "Why?"), ("assistant", "So."), ("user", "Ah."))):
        assert gone(found.text, talk, found.system) == rendered(tokenizer, talk)


def test_pieces_are_cut_where_people_would_cut_them() -> None:
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.chat_template = FORMS["usual system"]
    found = go_template(tokenizer)
    assert found is not None
    assert found.system == "You are helpful."
    assert found.before["user"] == "<|im_start|>user\n"
    assert set(found.after.values()) == {"<|im_end|>\n"}
    assert found.on == "<|im_start|>assistant\n"


@pytest.mark.parametrize("name", MORE)
def test_a_template_that_does_more_is_refused(name: str) -> None:
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.chat_template = MORE[name]
    assert go_template(tokenizer) is None


def test_a_run_becomes_a_folder_that_ollama_takes(run: Any, tmp_path: Path) -> None:
    done = api.export(run, "ollama", out=tmp_path / "taken", type="f32")
    assert set(done.files) == {"README.md", "Modelfile", "kites-f32.gguf"}
    lines = (tmp_path / "taken" / "Modelfile").read_text()
    assert lines.startswith('FROM ./kites-f32.gguf\nTEMPLATE """{{ range .Messages }}')
    assert 'SYSTEM """You are helpful."""\n' in lines
    assert "PARAMETER repeat_penalty 1.0\n" in lines
    assert 'PARAMETER stop "<|im_end|>"\n' in lines
    assert done.command == f"ollama create kites -f {tmp_path}/taken/Modelfile && ollama run kites"
    assert done.check is not None
    assert done.check.same == done.check.count


def test_a_template_that_does_more_leaves_nothing(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engrain.export.ollama.go_template", lambda tokenizer: None)
    with pytest.raises(ModelError, match="more than Ollama's template language can say"):
        api.export(run, "ollama", out=tmp_path / "taken")
    assert list(tmp_path.iterdir()) == []
