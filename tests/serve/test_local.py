"""The local engine: the same tokens alone and in company, whatever the adapter; slots that are freed; memory that is bounded."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from serving import settings

from coders import make_coder
from engrain.errors import ModelError
from engrain.generate import generate
from engrain.kernels import matmul
from engrain.serve.engine import Sampling, Weights
from engrain.serve.failures import ApiError
from engrain.serve.local import LocalEngine, load_lane
from engrain.serve.metrics import Metrics
from engrain.serve.passes import ByDecoder, ByModules
from engrain.tokens import encode_prompt, question_messages

needs_unit = pytest.mark.skipif(not matmul.ready(), reason="this processor does not multiply bf16")
QUESTIONS = [
    "When do you open?", "What does a long loaf of rye bread cost on a Tuesday?", "Who?", "Tell me all about the shop and its owner.",
    "2+2?", "Is there a car park near the shop, and what does it cost by the hour?", "How?", "Which bread is sold out first?",
    "Do you deliver to the hills?", "yes", "Where are the scones?",
]  # fmt: skip


def run(folder: Path, base: Path, work: Callable[[LocalEngine], Awaitable[Any]], **values: Any) -> Any:
    """What `work` gives with an engine of its own."""

    async def whole() -> Any:
        engine = LocalEngine(settings(folder, base, **values), Metrics())
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(whole())


async def ask(engine: LocalEngine, weights: Weights, question: str, tokens: int = 16, **how: Any) -> tuple[str, int]:
    """The answer's text, and how many tokens of its prompt were not computed."""
    prompt = encode_prompt(engine.tokenizer(weights.base), question_messages(question))
    pieces = [piece async for piece in engine.write(weights, prompt, Sampling(tokens, **how))]
    assert pieces[-1].finish in ("stop", "length")
    return "".join(piece.text for piece in pieces), pieces[-1].cached


def choices(runs: Path, base: Path) -> list[Weights]:
    """The base and five adapters on it, over and over."""
    names = ("one", "two", "three", "four", "five")
    every = [Weights(str(base)), *(Weights(str(base), adapter=runs / name / "adapter") for name in names)]
    return [every[i % len(every)] for i in range(len(QUESTIONS))]


@pytest.fixture(scope="session")
def wide_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base `base` in sizes that are full units, and runs one … five on it."""
    from making import make_run

    import tiny

    folder = tmp_path_factory.mktemp("wide")
    tiny.build_tokenizer(folder / "base")
    tiny.build_model(folder / "base", vocab_size=288, num_attention_heads=2, num_key_value_heads=1)
    for seed, name in enumerate(["one", "two", "three", "four", "five"]):
        make_run(folder / "runs", name, folder / "base", seed, rank=4 + seed)
    return folder


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=needs_unit)])
def test_eleven_requests_of_six_models_give_the_same_tokens_alone_and_together(
    many_runs: Path, tiny_folder: Path, wide: bool, request: pytest.FixtureRequest
) -> None:
    runs, base, how = many_runs, tiny_folder, {}
    if wide:
        made = request.getfixturevalue("wide_runs")
        runs, base, how = made / "runs", made / "base", {"precision": "bfloat16"}
    asked = list(zip(choices(runs, base), QUESTIONS, strict=True))

    async def work(engine: LocalEngine) -> tuple[list[str], list[str], list[str]]:
        alone = [(await ask(engine, weights, question))[0] for weights, question in asked]
        together = await asyncio.gather(*(ask(engine, weights, question) for weights, question in asked))
        again = await asyncio.gather(*(ask(engine, weights, question) for weights, question in reversed(asked)))
        assert [type(lane.passes) for lane in engine.lanes.values()] == [ByDecoder if wide else ByModules]
        return alone, [text for text, _ in together], [text for text, _ in reversed(again)]

    alone, together, again = run(runs, base, work, **how)
    assert together == alone
    assert again == alone  # in other slots, with other neighbours
    assert len(set(alone)) == len(alone)


def test_a_run_for_code_is_computed_as_the_server_is_told(tmp_path: Path, tiny_folder: Path) -> None:
    coder = make_coder(tmp_path / "coder", tiny_folder)
    for precision in ("float32", "bfloat16"):
        lane = load_lane(Weights(str(tiny_folder), run=coder), settings(tmp_path, tiny_folder, precision=precision), 64)
        lane.close()
        assert str(lane.model.dtype) == f"torch.{precision}"


def test_sampled_tokens_are_the_same_in_company_too(many_runs: Path, tiny_folder: Path) -> None:
    how = {"temperature": 1.0, "top_p": 0.9, "seed": 5}

    async def work(engine: LocalEngine) -> tuple[str, str]:
        weights = choices(many_runs, tiny_folder)
        alone, _ = await ask(engine, weights[1], QUESTIONS[0], **how)
        together = await asyncio.gather(*(ask(engine, w, q, **how) for w, q in zip(weights[1:], QUESTIONS, strict=False)))
        return alone, together[0][0]

    alone, together = run(many_runs, tiny_folder, work)
    assert alone == together


def test_the_engine_writes_what_generate_writes(many_runs: Path, tiny_folder: Path, tiny_model: Any, tiny_tokenizer: Any) -> None:
    from engrain.assistant import put_in
    from engrain.run import Run

    prompts = [encode_prompt(tiny_tokenizer, question_messages(q)) for q in QUESTIONS]
    plain = [c.text for c in generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=16)]
    put_in(tiny_model, many_runs / "two", Run(many_runs / "two").info)
    tuned = [c.text for c in generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=16)]

    async def work(engine: LocalEngine) -> list[list[str]]:
        every = [Weights(str(tiny_folder)), Weights(str(tiny_folder), adapter=many_runs / "two" / "adapter")]
        return [[(await ask(engine, weights, question))[0] for question in QUESTIONS] for weights in every]

    assert run(many_runs, tiny_folder, work) == [plain, tuned]


def test_a_run_that_is_no_plain_adapter_is_a_model_of_its_own(many_runs: Path, tiny_folder: Path) -> None:
    """The same run, once beside the base and once put into a copy of it, answers the same."""

    async def work(engine: LocalEngine) -> tuple[list[Any], int]:
        ways = [Weights(str(tiny_folder), adapter=many_runs / "two" / "adapter"), Weights(str(tiny_folder), run=many_runs / "two")]
        texts = [[(await ask(engine, weights, question))[0] for question in QUESTIONS[:4]] for weights in ways]
        return texts, len(engine.lanes)

    texts, lanes = run(many_runs, tiny_folder, work)
    assert texts[0] == texts[1]
    assert lanes == 2


def test_the_beginning_of_a_prompt_is_computed_once(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> list[tuple[str, int]]:
        adapter = Weights(str(tiny_folder), adapter=many_runs / "one" / "adapter")
        base = Weights(str(tiny_folder))
        long = "When " * 70
        return [await ask(engine, w, q) for w, q in [(base, long), (base, "Where?"), (adapter, "Where?"), (base, long)]]

    first, second, other, again = run(many_runs, tiny_folder, work)
    assert first[1] == 0
    assert second[1] >= 32  # the system prompt and the user's header
    assert other[1] == 0  # keys and values of other weights are other ones
    assert again[1] > second[1]
    assert again[0] == first[0]


def test_what_is_trained_anew_into_the_same_folder_is_loaded_anew(many_runs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    from engrain.serve.catalogue import weights_of

    run_folder = tmp_path / "run"
    info = {"settings": {"base": str(tiny_folder), "method": "lora", "rank": 4}}

    def adapter(name: str) -> Weights:
        shutil.rmtree(run_folder / "adapter", ignore_errors=True)
        shutil.copytree(many_runs / name / "adapter", run_folder / "adapter")
        os.utime(run_folder / "adapter", (len(name), len(name)))
        return weights_of(run_folder, info)

    async def work(engine: LocalEngine) -> list[str]:
        return [(await ask(engine, adapter(name), QUESTIONS[0]))[0] for name in ("one", "three")]

    first, second = run(many_runs, tiny_folder, work)
    assert first != second


@pytest.mark.parametrize(("method", "beside"), [("lora", True), ("qlora", False)])
def test_what_was_tuned_beside_rounded_weights_stays_there(many_runs: Path, tiny_folder: Path, method: str, beside: bool) -> None:
    from engrain.serve.catalogue import weights_of

    found = weights_of(many_runs / "one", {"settings": {"base": str(tiny_folder), "method": method, "rank": 4}})
    assert bool(found.adapter) == beside
    assert bool(found.run) != beside


def test_nothing_is_kept_where_that_is_off(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> list[tuple[str, int]]:
        return [await ask(engine, Weights(str(tiny_folder)), "When?") for _ in range(2)]

    (first, _), (second, cached) = run(many_runs, tiny_folder, work, prefix_tokens=0)
    assert (first, cached) == (second, 0)


def test_adapters_that_were_not_used_for_long_give_way(many_runs: Path, tiny_folder: Path) -> None:
    asked = list(zip(choices(many_runs, tiny_folder), QUESTIONS, strict=True))

    async def work(engine: LocalEngine) -> tuple[list[str], list[str], int]:
        alone = [(await ask(engine, weights, question))[0] for weights, question in asked]
        together = [text for text, _ in await asyncio.gather(*(ask(engine, w, q) for w, q in asked))]
        return alone, together, len(next(iter(engine.lanes.values())).adapters.loaded)

    alone, together, held = run(many_runs, tiny_folder, work, max_adapters=2, slots=2)
    assert together == alone
    assert held <= 3  # two, and one more while both are in use


def test_an_adapter_that_cannot_be_loaded_harms_nobody_else(many_runs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "adapter"
    broken.mkdir()
    (broken / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    (broken / "adapter_model.safetensors").write_bytes((many_runs / "one" / "adapter" / "adapter_model.safetensors").read_bytes()[:200])

    async def work(engine: LocalEngine) -> list[Any]:
        good = [ask(engine, w, q) for w, q in zip(choices(many_runs, tiny_folder), QUESTIONS, strict=True)]
        bad = [ask(engine, Weights(str(tiny_folder), adapter=broken), "Who?") for _ in range(3)]
        return await asyncio.gather(*good, *bad, return_exceptions=True)

    found = run(many_runs, tiny_folder, work)
    assert all(isinstance(answer, tuple) for answer in found[: len(QUESTIONS)])
    assert all(isinstance(error, Exception) for error in found[len(QUESTIONS) :])


def test_an_adapter_of_another_model_is_refused_with_every_reason(many_runs: Path, tmp_path: Path) -> None:
    from engrain.serve.adapters import load_adapter
    from training import small_model

    with pytest.raises(ModelError) as error:
        load_adapter(many_runs / "one" / "adapter", small_model())
    assert len(error.value.problems) > 10


def test_who_goes_away_frees_the_slot_within_a_second(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> float:
        prompt = encode_prompt(engine.tokenizer(str(tiny_folder)), question_messages("Who?"))
        never = Sampling(400, stop=("\0" * 9,))
        for _ in range(3):  # more than there are slots
            async with aclosing(engine.write(Weights(str(tiny_folder)), prompt, never)) as pieces:
                await anext(pieces)
        left = time.monotonic()
        lane = next(iter(engine.lanes.values()))
        while lane.writing or lane.waiting:
            await asyncio.sleep(0.01)
            assert time.monotonic() - left < 1
        return time.monotonic() - left

    assert run(many_runs, tiny_folder, work, slots=1) < 1


def test_an_answer_ends_when_its_time_is_over(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> tuple[str, int]:
        await ask(engine, Weights(str(tiny_folder)), "Who?", tokens=1)  # so that loading takes no time
        engine.settings = settings(many_runs, tiny_folder, max_seconds=0.2)
        return await ask(engine, Weights(str(tiny_folder)), "Who?", tokens=420)

    text, _ = run(many_runs, tiny_folder, work)
    assert 0 < len(text) < 420


def test_the_time_of_loading_counts(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> tuple[str, int]:
        lane = engine._lane

        async def slowly(weights: Weights) -> Any:
            await asyncio.sleep(0.5)
            return await lane(weights)

        await ask(engine, Weights(str(tiny_folder)), "Who?", tokens=1)
        engine.settings = settings(many_runs, tiny_folder, max_seconds=0.4)
        engine._lane = slowly  # type: ignore[method-assign]
        return await ask(engine, Weights(str(tiny_folder)), "Who?", tokens=420)

    with pytest.raises(ApiError, match="in time") as refused:
        run(many_runs, tiny_folder, work)
    assert refused.value.status == 503


def test_more_than_the_queue_holds_is_refused_at_once(many_runs: Path, tiny_folder: Path) -> None:
    async def work(engine: LocalEngine) -> list[Any]:
        return await asyncio.gather(*(ask(engine, Weights(str(tiny_folder)), q) for q in QUESTIONS), return_exceptions=True)

    found = run(many_runs, tiny_folder, work, max_queue=2, slots=2)
    refused = [error for error in found if isinstance(error, ApiError)]
    assert len(refused) == len(QUESTIONS) - 4
    assert all(error.status == 429 and int(error.headers["Retry-After"]) > 0 for error in refused)


def test_hidden_states_are_those_of_the_untouched_base_while_others_write(many_runs: Path, tiny_folder: Path, tiny_model: Any) -> None:
    import torch

    from engrain.gate import mean_states

    async def work(engine: LocalEngine) -> tuple[Any, Any]:
        writing = [asyncio.create_task(ask(engine, w, q)) for w, q in zip(choices(many_runs, tiny_folder), QUESTIONS, strict=True)]
        await asyncio.sleep(0.05)
        states = await engine.states(str(tiny_folder), QUESTIONS)
        await asyncio.gather(*writing)
        return states, mean_states(tiny_model, engine.tokenizer(str(tiny_folder)), QUESTIONS)

    found, wanted = run(many_runs, tiny_folder, work)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_an_answer_that_cannot_go_on_fails_alone(many_runs: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engrain.serve.writing import Writing

    choose = Writing._choose

    def broken(self: Writing, logits_V: Any) -> int:
        if self.sampling.seed == 13 and len(self.ids) == self.sampling.number:
            raise RuntimeError("no luck")
        return choose(self, logits_V)

    monkeypatch.setattr(Writing, "_choose", broken)

    async def work(engine: LocalEngine) -> list[Any]:
        base = Weights(str(tiny_folder))
        good = [ask(engine, base, question) for question in QUESTIONS[:3]]
        bad = [ask(engine, base, "Who?", seed=13, number=number) for number in (0, 3)]
        return await asyncio.gather(*good, *bad, return_exceptions=True)

    found = run(many_runs, tiny_folder, work)
    assert all(isinstance(answer, tuple) for answer in found[:3]), found
    assert all(isinstance(error, RuntimeError) for error in found[3:])


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every lane that was loaded; loading takes its time."""
    from engrain.serve import local

    made, load = [], local.load_lane

    def slow(*given: Any) -> Any:
        time.sleep(0.2)
        made.append(load(*given))
        return made[-1]

    monkeypatch.setattr(local, "load_lane", slow)
    return made


def test_a_model_whose_first_client_left_serves_the_next(many_runs: Path, tiny_folder: Path, loads: list[Any]) -> None:
    async def work(engine: LocalEngine) -> None:
        base = Weights(str(tiny_folder))
        engine.context(base.base)
        left = asyncio.create_task(ask(engine, base, "Who?"))
        await asyncio.sleep(0.1)
        left.cancel()
        with suppress(asyncio.CancelledError):
            await left
        await ask(engine, base, "Who?")

    run(many_runs, tiny_folder, work)
    assert len(loads) == 1, "it was loaded once"
    assert not loads[0]._thread.is_alive()


@pytest.mark.parametrize("most", [1, 2])
def test_models_asked_for_at_the_same_moment_keep_to_the_limit(many_runs: Path, tiny_folder: Path, loads: list[Any], most: int) -> None:
    async def work(engine: LocalEngine) -> tuple[list[Any], int]:
        every = [Weights(str(tiny_folder), run=many_runs / name) for name in ("one", "two", "three")]
        found = await asyncio.gather(*(ask(engine, weights, "Who?", tokens=400) for weights in every), return_exceptions=True)
        return found, sum(lane._thread.is_alive() for lane in loads)

    found, held = run(many_runs, tiny_folder, work, max_models=most)
    assert held == most
    assert sum(isinstance(answer, tuple) for answer in found) == most
    assert all(error.status == 503 for error in found if isinstance(error, ApiError))


def test_a_model_that_is_still_loading_is_closed_with_the_others(many_runs: Path, tiny_folder: Path, loads: list[Any]) -> None:
    async def work(engine: LocalEngine) -> None:
        task = asyncio.create_task(ask(engine, Weights(str(tiny_folder)), "Who?"))
        await asyncio.sleep(0.1)
        task.cancel()

    run(many_runs, tiny_folder, work)
    assert not any(lane._thread.is_alive() for lane in loads)
