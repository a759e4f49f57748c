"""Products of bf16 matrices in C (`matmul.c`), in a processor's matrix unit or, where it has none, in vector units that multiply bf16.

PyTorch's library (oneDNN) makes new machine code for each number of rows it meets, and with a matrix unit leaves all but one thread
idle for many shapes that training has (576 columns and 400 to 1,340 rows). Here every shape runs at about the same rate, and two
products that are added up are summed before they are rounded. Other processors, and few rows, are PyTorch's.

Shapes: N rows, K terms, O columns. Reference: `reference_product`.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from engrain.kernels import native

FEWEST_ROWS, FEWEST_COLUMNS = 256, 128
"""Below these PyTorch's product is as fast."""
UNIT = 32
"""Terms and columns come in this many at a time."""


@cache
def ready() -> bool:
    """Whether the processor multiplies bf16, in units that this process may use."""
    found = native.library()
    return found is not None and bool(found.matmul_ready(1))


def can(x_NK: Tensor, columns: int) -> bool:
    """Whether the product of these rows with a matrix of so many columns is computed here."""
    many = len(x_NK) >= FEWEST_ROWS and columns >= FEWEST_COLUMNS
    fits = x_NK.shape[1] % UNIT == columns % UNIT == 0 and x_NK.stride(1) == 1
    return many and fits and x_NK.dtype == torch.bfloat16 and x_NK.device.type == "cpu" and ready()


def product(x_NK: Tensor, w_KO: Tensor, more: tuple[Tensor, Tensor] | None = None, bias_O: Tensor | None = None) -> Tensor:
    """x·w (N, O), and what there is `more` (a second x and w, of other terms) and of bias.

    Where it `can` be done here, all is summed in fp32 and rounded once. Either w is contiguous in its rows or in its columns (a
    transposed weight), both in the same way.
    """
    if not can(x_NK, w_KO.shape[1]):
        y = x_NK @ w_KO if bias_O is None else torch.addmm(bias_O, x_NK, w_KO)
        return y.addmm_(*more) if more else y
    by_rows = w_KO.stride(1) != 1
    x, w = _whole(*(more or (x_NK[:, :0], w_KO[:0])), by_rows)
    y = x_NK.new_empty(len(x_NK), w_KO.shape[1])
    first, second = ((a, a.stride(0), b, b.stride(1 if by_rows else 0), a.shape[1]) for a, b in ((x_NK, w_KO), (x, w)))
    native.call("matmul", x_NK.dtype, *first, *second, bias_O if bias_O is not None else 0, y, len(y), y.shape[1], int(by_rows))
    return y


def _whole(x_NK: Tensor, w_KO: Tensor, by_rows: bool) -> tuple[Tensor, Tensor]:
    """The factors with terms of zero behind theirs, up to a full unit."""
    short = -x_NK.shape[1] % UNIT
    if not short:
        return x_NK, w_KO
    return F.pad(x_NK, (0, short)), F.pad(w_KO.t(), (0, short)).t() if by_rows else F.pad(w_KO, (0, 0, 0, short))


def packed(weight_OK: Tensor) -> Tensor:
    """A weight as `packed_product` takes it; terms and columns are full units."""
    out = torch.empty(weight_OK.numel(), dtype=weight_OK.dtype)
    native.call("pack", weight_OK.dtype, weight_OK, weight_OK.stride(0), weight_OK.shape[1], len(weight_OK), out)
    return out


def packed_product(x_NK: Tensor, packed_OK: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x·Wᵀ + bias (N, O) of any number of rows, each with the same bits alone and beside others."""
    y = x_NK.new_empty(len(x_NK), len(packed_OK) // x_NK.shape[1])
    bias = bias_O if bias_O is not None else 0
    native.call("matmul_packed", x_NK.dtype, x_NK, x_NK.stride(0), packed_OK, x_NK.shape[1], bias, y, len(y), y.shape[1])
    return y


def reference_product(x_NK: Tensor, w_KO: Tensor, more: tuple[Tensor, Tensor] | None = None, bias_O: Tensor | None = None) -> Tensor:
    """The same in fp32, rounded at the end."""
    y = x_NK.float() @ w_KO.float()
    y = y + more[0].float() @ more[1].float() if more else y
    return (y if bias_O is None else y + bias_O.float()).to(x_NK.dtype)
