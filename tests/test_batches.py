from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engrain.batches import Order, micro_batches, with_again

orders = st.builds(Order, st.integers(1, 60), st.integers(1, 70), st.integers(0, 9), st.booleans())


@given(orders, st.integers(0, 3))
def test_an_epoch_holds_every_example_once(order: Order, epoch: int) -> None:
    steps = [order.step(epoch * order.steps_per_epoch + i) for i in range(order.steps_per_epoch)]
    assert Counter(i for step in steps for i in step) == Counter(range(order.num_examples))
    assert all(len(step) == order.batch_size for step in steps[:-1])
    assert steps[-1]


def test_the_order_is_shuffled_anew_each_epoch_by_the_seed() -> None:
    first, again, other = Order(50, 50, 1), Order(50, 50, 1), Order(50, 50, 2)
    assert first.step(0) == again.step(0)
    assert len({tuple(o) for o in (first.step(0), first.step(1), other.step(0), range(50))}) == 4
    assert Order(50, 20, 1, shuffle=False).step(4) == list(range(20, 40))
    assert all(type(i) is int for i in first.step(0))


def test_what_is_practised_again_takes_its_share_of_a_step_in_turn_from_the_shortest() -> None:
    usual, again, lengths = [1, 2, 3, 4], [7, 8, 9], [5, 6, 5, 9, 5, 5, 5, 5, 5, 5]
    assert [with_again(usual, again, 0.5, turn, lengths) for turn in range(3)] == [[7, 8, 3, 1], [9, 7, 3, 1], [8, 9, 3, 1]]
    assert with_again(usual, [7], 1.0, 5, lengths) == [7, 3, 1, 2]
    assert with_again(usual, [3, 9], 0.5, 0, lengths) == [3, 9, 1], "none comes twice in a step"
    assert with_again(usual, [], 0.5, 3, lengths) == usual


rows = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(rows, st.integers(1, 60), st.integers(0, 5))
def test_micro_batches_fit_and_lose_nothing(lengths: list[int], max_tokens: int, shared: int) -> None:
    lengths = [length + shared for length in lengths]
    groups = micro_batches(range(len(lengths)), lengths, max_tokens, shared)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or shared + sum(lengths[i] - shared for i in group) <= max_tokens for group in groups)
    assert [lengths[i] for group in groups for i in group] == sorted(lengths, reverse=True)


@given(rows, st.integers(1, 60))
def test_micro_batches_are_few_and_none_is_smaller_than_it_must_be(lengths: list[int], max_tokens: int) -> None:
    groups = micro_batches(range(len(lengths)), lengths, max_tokens)
    largest = max(sum(lengths[i] for i in group) for group in groups)
    smaller = micro_batches(range(len(lengths)), lengths, max(1, largest - 1))
    assert len(groups) < len(smaller) or largest == max(lengths)


def test_what_does_not_fit_at_once_is_halved() -> None:
    groups = micro_batches(range(16), [130] * 16, 2048)
    assert [len(group) for group in groups] == [8, 8], "and not fifteen and one"
    assert len(micro_batches(range(16), [130] * 16, 2048, shared=30)) == 1


def test_micro_batches_do_not_depend_on_the_order_of_the_indices() -> None:
    assert micro_batches([3, 1, 2, 0], [5, 9, 5, 5], 10) == micro_batches([0, 1, 2, 3], [5, 9, 5, 5], 10) == [[1], [0, 2], [3]]
