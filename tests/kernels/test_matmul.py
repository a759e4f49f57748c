from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engrain.kernels import matmul, native
from engrain.kernels.matmul import FEWEST_COLUMNS, FEWEST_ROWS, can, packed, packed_product, product, reference_product

needs_unit = pytest.mark.skipif(not matmul.ready(), reason="this processor does not multiply bf16")


def numbers(rows: int, columns: int, *, spare: int = 0) -> torch.Tensor:
    """Random bf16 numbers (rows, columns) inside rows that are longer."""
    return torch.randn(rows, columns + spare).bfloat16()[:, :columns]


def weight(terms: int, columns: int, by_rows: bool) -> torch.Tensor:
    return numbers(columns, terms, spare=8).t() if by_rows else numbers(terms, columns, spare=8)


cases = st.fixed_dictionaries(
    {
        "rows": st.integers(FEWEST_ROWS, 3 * FEWEST_ROWS),
        "terms": st.integers(1, 20).map(lambda n: 32 * n),
        "columns": st.integers(4, 24).map(lambda n: 32 * n),
        "more": st.sampled_from([0, 1, 8, 16, 32, 64]),
        "by_rows": st.booleans(),
        "bias": st.booleans(),
        "seed": st.integers(0, 1000),
    }
)


def made(case: dict[str, Any]) -> tuple[Any, ...]:
    torch.manual_seed(case["seed"])
    x, w = numbers(case["rows"], case["terms"], spare=case["seed"] % 3), weight(case["terms"], case["columns"], case["by_rows"])
    more = (numbers(case["rows"], case["more"]), weight(case["more"], case["columns"], case["by_rows"])) if case["more"] else None
    return x, w, more, torch.randn(case["columns"]).bfloat16() if case["bias"] else None


@needs_unit
@settings(max_examples=80, deadline=None)
@given(cases)
def test_equals_the_reference(case: dict[str, Any]) -> None:
    x, w, more, bias = made(case)
    assert can(x, w.shape[1])
    exact = reference_product(x.float(), w.float(), more and (more[0].float(), more[1].float()), bias if bias is None else bias.float())
    # half a unit of bf16's last place, for the one rounding, and what sums in another order differ by
    torch.testing.assert_close(product(x, w, more, bias).float(), exact, rtol=2**-8, atol=1e-3)


@needs_unit
@settings(max_examples=20, deadline=None)
@given(cases)
def test_a_row_does_not_depend_on_the_others_nor_on_threads(case: dict[str, Any]) -> None:
    x, w, more, bias = made(case)
    whole, threads = product(x, w, more, bias), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(product(x, w, more, bias), whole)
    finally:
        torch.set_num_threads(threads)
    fewer = (more[0][:FEWEST_ROWS], more[1]) if more else None
    assert torch.equal(product(x[:FEWEST_ROWS], w, fewer, bias), whole[:FEWEST_ROWS])


@needs_unit
@pytest.mark.parametrize("rows", [1, 5, 16, 17, 32, 33, 100, 300])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_weight_serves_any_number_of_rows_with_the_same_bits(rows: int, bias: bool) -> None:
    torch.manual_seed(rows)
    x, weight_OK = numbers(rows, 96, spare=3), numbers(416, 96, spare=5)
    bias_O = torch.randn(416).bfloat16() if bias else None
    kept = packed(weight_OK)
    found = packed_product(x, kept, bias_O)
    exact = reference_product(x.float(), weight_OK.float().t(), bias_O=bias_O.float() if bias_O is not None else None)
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-3)
    for row in (0, rows - 1):
        assert torch.equal(packed_product(x[row : row + 1], kept, bias_O)[0], found[row])


@needs_unit
def test_a_large_weight_is_packed_in_parts() -> None:
    x, w = numbers(FEWEST_ROWS, 8192), numbers(8192, 2048)
    assert w.numel() > 4 * 2**21
    torch.testing.assert_close(product(x, w).float(), x.float() @ w.float(), rtol=2**-8, atol=1e-2)


@needs_unit
def test_what_is_no_number_stays_none() -> None:
    x, w = numbers(FEWEST_ROWS, 64), numbers(64, 128)
    x[3, 5] = torch.nan
    assert product(x, w).isnan().all(1).nonzero().tolist() == [[3]]


@pytest.mark.parametrize(
    ("rows", "terms", "columns", "kind"),
    [
        (FEWEST_ROWS - 1, 64, 128, torch.bfloat16),
        (FEWEST_ROWS, 63, 128, torch.bfloat16),
        (FEWEST_ROWS, 64, FEWEST_COLUMNS - 32, torch.bfloat16),
        (FEWEST_ROWS, 64, 130, torch.bfloat16),
        (FEWEST_ROWS, 64, 128, torch.float32),
    ],
)
def test_what_cannot_be_done_here_is_done_by_pytorch(rows: int, terms: int, columns: int, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    x, w, bias = torch.randn(rows, terms).to(kind), torch.randn(terms, columns).to(kind), torch.randn(columns).to(kind)
    u, b = torch.randn(rows, 8).to(kind), torch.randn(8, columns).to(kind)
    assert not can(x, columns)
    torch.testing.assert_close(product(x, w, (u, b), bias), reference_product(x, w, (u, b), bias), rtol=0.02, atol=0.2)


@needs_unit
@pytest.mark.parametrize("terms", [(96, 0), (96, 32)])
@pytest.mark.parametrize("rows", [1, 11, 12, 13, 24, 96, 97, 300])
def test_vector_units_compute_what_the_matrix_unit_computes(rows: int, terms: tuple[int, int]) -> None:
    torch.manual_seed(rows)
    found = native.library()
    assert found is not None
    x, w = numbers(max(rows, FEWEST_ROWS), terms[0]), weight(terms[0], 160, by_rows=True)
    more = (numbers(len(x), terms[1]), weight(terms[1], 160, by_rows=True)) if terms[1] else None
    kept, bias_O = packed(w.t()), torch.randn(160).bfloat16()
    usual = product(x, w, more, bias_O), packed_product(x[:rows], kept, bias_O)
    try:
        assert found.matmul_ready(0) == 1
        plain = product(x, w, more, bias_O), packed_product(x[:rows], kept, bias_O)
    finally:
        found.matmul_ready(1)
    for a, b in zip(plain, usual, strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=2**-7, atol=1e-3)


def test_without_native_code_there_is_no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    assert not matmul.ready.__wrapped__()
