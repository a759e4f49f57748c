"""Generation: batches, caches and prefixes must not change what is written."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engrain.errors import ExampleError, SettingError
from engrain.examples import Message
from engrain.generate import FEWEST, MOST, _batch_size, generate, perplexity, stream, window_scores, windows
from engrain.models import load_model, load_tokenizer, locate
from engrain.tasks.chat import log_likelihood
from engrain.tokens import Encoded, encode_example, encode_prompt, question_messages

QUESTIONS = ["Hi", "When do you open on Sundays?", "Who?", "Where is the café?", "a" * 40]


@pytest.fixture
def prompts(tiny_tokenizer):
    return [encode_prompt(tiny_tokenizer, question_messages(question)) for question in QUESTIONS]


def same(first, second):
    assert [(c.text, c.tokens, c.finished) for c in first] == [(c.text, c.tokens, c.finished) for c in second]
    assert [np.mean(c.scores) for c in first] == pytest.approx([np.mean(c.scores) for c in second], abs=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_batch_writes_what_its_rows_write_alone(tiny_model, tiny_tokenizer, prompts, temperature):
    options = {"max_new_tokens": 24, "temperature": temperature}
    # Without a shared beginning too: one prompt starts otherwise.
    for given in (prompts, [*prompts, prompts[0][5:]]):
        together = generate(tiny_model, tiny_tokenizer, given, **options)
        same(together, generate(tiny_model, tiny_tokenizer, given, batch_size=1, **options))
        same(together, generate(tiny_model, tiny_tokenizer, given, batch_size=2, **options))


def test_a_row_alone_is_what_transformers_writes(tiny_model, tiny_tokenizer, prompts):
    completions = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=16)
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = torch.tensor([prompt])
        written = tiny_model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False)[0, len(prompt) :]
        assert completion.text == tiny_tokenizer.decode(written, skip_special_tokens=True)
        assert completion.tokens == len(written)


def test_the_log_probability_is_that_of_the_tokens_written(tiny_model, tiny_tokenizer, prompts):
    (completion,) = generate(tiny_model, tiny_tokenizer, prompts[:1], max_new_tokens=12)
    ids = [*prompts[0]]
    scores = []
    for _ in range(completion.tokens):
        distribution = tiny_model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        scores.append(float(distribution.max()))
        ids.append(int(distribution.argmax()))
    assert completion.scores == pytest.approx(scores, abs=1e-4)


def end_after(model, tokenizer, prompt, count):
    """Make the token that the model writes at `count` an end token; return the completion."""
    ids = torch.tensor([prompt])
    written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, eos_token_id=-1)
    model.generation_config.eos_token_id = [int(written[0, -1]), tokenizer.eos_token_id]


def test_an_end_token_ends_and_only_that_row(tiny_model, tiny_tokenizer, prompts):
    end_after(tiny_model, tiny_tokenizer, prompts[1], 3)
    completions = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=30)
    assert completions[1].finished
    assert completions[1].tokens <= 3
    assert all(completion.finished or completion.tokens == 30 for completion in completions)
    same(completions, generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=30, batch_size=1))


def test_a_stop_text_ends_and_is_left_out(tiny_model, tiny_tokenizer, prompts):
    (whole,) = generate(tiny_model, tiny_tokenizer, prompts[:1], max_new_tokens=24)
    stop = whole.text[5:7]
    (cut,) = generate(tiny_model, tiny_tokenizer, prompts[:1], max_new_tokens=24, stop=[stop])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finished


def test_sampling_leaves_the_global_random_state_alone(tiny_model, tiny_tokenizer, prompts):
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    first = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=8, temperature=1.0, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    torch.manual_seed(99)
    assert generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=8, temperature=1.0, seed=3) == first
    assert generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=8, temperature=1.0, seed=4) != first


def test_samples_follow_the_distribution_cut_at_top_p(tiny_model, tiny_tokenizer, prompts):
    logits = tiny_model(torch.tensor([prompts[0]])).logits[0, -1] / 3.0
    probabilities, order = logits.softmax(-1).sort(descending=True)
    kept = int((probabilities.cumsum(0) - probabilities < 0.6).sum())
    samples = generate(tiny_model, tiny_tokenizer, prompts[:1] * 600, max_new_tokens=1, temperature=3.0, top_p=0.6, batch_size=600)
    wanted = {tiny_tokenizer.decode([int(token)], skip_special_tokens=True) for token in order[:kept]}
    assert {sample.text for sample in samples} <= wanted
    likeliest = tiny_tokenizer.decode([int(order[0])], skip_special_tokens=True)
    share = np.mean([sample.text == likeliest for sample in samples])
    assert share == pytest.approx(float(probabilities[0] / probabilities[:kept].sum()), abs=0.08)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_streamed_pieces_make_the_completion(tiny_model, tiny_tokenizer, prompts, temperature):
    for prompt in prompts:
        pieces = list(stream(tiny_model, tiny_tokenizer, prompt, max_new_tokens=24, temperature=temperature, seed=0))
        (completion,) = generate(tiny_model, tiny_tokenizer, [prompt], max_new_tokens=24, temperature=temperature)
        assert "".join(pieces) == completion.text


class Parrot(torch.nn.Module):
    """Writes given tokens, whatever it reads."""

    def __init__(self, model, ids):
        super().__init__()
        self.inner, self.ids, self.config, self.generation_config, self.device = (
            model,
            list(ids),
            model.config,
            model.generation_config,
            "cpu",
        )

    def forward(self, **inputs):
        output = self.inner(**inputs)
        output.logits[:] = torch.nn.functional.one_hot(torch.tensor(self.ids.pop(0)), output.logits.shape[-1]) * 100.0
        return output


def test_streamed_pieces_hold_whole_characters_and_no_stop_text(tiny_model, tiny_tokenizer, prompts):
    ids = tiny_tokenizer.encode("né 🙂!###x", add_special_tokens=False)
    pieces = list(stream(Parrot(tiny_model, ids), tiny_tokenizer, prompts[0], max_new_tokens=len(ids), stop=["!##"]))
    assert pieces == ["n", "é", " ", "🙂"]
    pieces = list(stream(Parrot(tiny_model, ids), tiny_tokenizer, prompts[0], max_new_tokens=len(ids), stop=["!!"]))
    assert pieces == ["n", "é", " ", "🙂", "!#", "#", "#", "x"]


def test_dropout_is_off_while_writing_and_back_afterwards(tiny_model, tiny_tokenizer, prompts):
    calm = generate(tiny_model, tiny_tokenizer, prompts[:2], max_new_tokens=6)
    tiny_model.config.attention_dropout = 0.9
    for layer in tiny_model.model.layers:
        layer.self_attn.attention_dropout = 0.9
    tiny_model.train()
    assert generate(tiny_model, tiny_tokenizer, prompts[:2], max_new_tokens=6) == calm
    assert tiny_model.training


def test_no_prompts_no_completions(tiny_model, tiny_tokenizer):
    assert generate(tiny_model, tiny_tokenizer, [], max_new_tokens=4) == []


def test_settings_that_cannot_be_used_are_all_named(tiny_model, tiny_tokenizer, prompts):
    with pytest.raises(SettingError) as caught:
        generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=0, temperature=-1.0, top_p=0.0)
    assert len(caught.value.problems) == 3
    with pytest.raises(SettingError, match="context of 1024"):
        generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=1000)


def test_the_log_likelihood_of_answers(tiny_model, tiny_tokenizer):
    encoded = [
        encode_example(tiny_tokenizer, [Message("user", q), Message("assistant", "word " * n)]) for q, n in (("Hi", 1), ("Why?", 60))
    ]
    for found, one in zip(log_likelihood(tiny_model, encoded), encoded, strict=True):
        ids = torch.from_numpy(one.ids).long()
        scores = tiny_model(ids[None]).logits[0, :-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        assert found.total == pytest.approx(float(scores[torch.from_numpy(one.supervised[1:])].sum()), rel=1e-4)
        assert found.tokens == one.supervised[1:].sum()
        assert not found.foremost


def test_the_model_would_say_what_it_finds_likeliest(tiny_model, tiny_tokenizer):
    prompt = encode_prompt(tiny_tokenizer, (Message("user", "Why?"),))
    said = generate(tiny_model, tiny_tokenizer, [prompt], max_new_tokens=6)[0].ids
    replies = [[*said, 2], [*said[:-1], said[-1] - 1, 2]]
    rows = [Encoded(np.array([*prompt, *reply], dtype=np.int32), np.array([0] * len(prompt) + [1] * len(reply)) > 0) for reply in replies]
    assert [each.foremost for each in log_likelihood(tiny_model, rows)] == [True, False]


def test_perplexity_in_windows(tiny_model, tiny_tokenizer):
    text = "It was the best of times, it was the worst of times. " * 8
    ids = torch.tensor(tiny_tokenizer.encode(text, add_special_tokens=False))
    losses = [tiny_model(part[None], labels=part[None]).loss.item() * (len(part) - 1) for part in ids.split(200)]
    wanted = math.exp(sum(losses) / sum(len(part) - 1 for part in ids.split(200)))
    assert perplexity(window_scores(tiny_model, windows(tiny_tokenizer, text, window=200))) == pytest.approx(wanted, rel=1e-4)
    short = window_scores(tiny_model, windows(tiny_tokenizer, text, max_tokens=50))
    assert perplexity(short) == pytest.approx(math.exp(tiny_model(ids[None, :50], labels=ids[None, :50]).loss.item()), rel=1e-4)
    assert [len(part) for part in windows(tiny_tokenizer, text, window=4, max_tokens=9)] == [4, 4], "a lone token says nothing"
    with pytest.raises(ExampleError, match="fewer than two tokens"):
        perplexity(window_scores(tiny_model, windows(tiny_tokenizer, "")))


def test_equal_prompts_are_read_once_and_written_apart(tiny_model, tiny_tokenizer, prompts):
    options = {"max_new_tokens": 12, "temperature": 1.0}
    twice = generate(tiny_model, tiny_tokenizer, [*prompts, *prompts], **options)
    same(twice, generate(tiny_model, tiny_tokenizer, [*prompts, *prompts], batch_size=1, **options))
    assert twice[0].text != twice[len(prompts)].text


def test_as_many_prompts_are_answered_side_by_side_as_there_is_room_for(tiny_model):
    assert _batch_size(tiny_model, 5, 100) == 5
    assert _batch_size(tiny_model, MOST + 2, 100) == MOST // 2 + 1, "batches are alike"
    assert _batch_size(tiny_model, 10 * FEWEST, 10**9) == FEWEST


@pytest.mark.model
def test_the_embedded_base_answers():
    base = locate("smollm2-135m")
    model, tokenizer = load_model(base, dtype=torch.float32, device="cpu"), load_tokenizer(base)
    questions = ["What is the capital of France?", "What is two plus two?"]
    prompts = [encode_prompt(tokenizer, question_messages(question)) for question in questions]
    completions = generate(model, tokenizer, prompts, max_new_tokens=24)
    assert "Paris" in completions[0].text
    assert completions[0].finished
    text = "The cat sat on the mat and looked out of the window at the rain."
    assert perplexity(window_scores(model, windows(tokenizer, text))) < 60
