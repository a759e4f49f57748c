"""The reranker: how well each of several answers fits a question, read together with the sentence that it stands in.

A cross-encoder (Nogueira and Cho 2019, arXiv 1901.04085): the sentence encoder reads question and answer as one text, so that every
word of the one sees every word of the other, and one layer makes a number of it. An adapter that comes with the package taught it
which answer a customer's question is after, and when it is none of them (`study/reranking.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.encoder import EMBEDDED, Encoder, encoder_folder
from engrain.fetch import model_errors
from engrain.pairs import PairScores
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

TAUGHT: Path | None = Path(__file__).parent / "study" / "adapters" / f"{EMBEDDED}-reranker"
"""The adapter that makes the sentence encoder a reranker."""
MAX_TOKENS = 80
"""Word pieces that are read of a question and an answer together."""
WEIGHT, BIAS = "score.weight", "score.bias"


class Reranker(PairScores):
    """Scores answers to a question; 0 is the score of "none of these"."""

    def __init__(self, encoder: Encoder) -> None:
        """A reranker that knows nothing yet."""
        import torch

        super().__init__()
        self.encoder = encoder
        self.score = torch.nn.Linear(encoder.width, 1)
        torch.nn.init.zeros_(self.score.weight)
        torch.nn.init.constant_(self.score.bias, -1.0)

    def scores(self, question: str, candidates: Sequence[str]) -> list[float]:
        """The score of each candidate (log-odds against "none of these"); what was read already is not read again."""
        return self.read([(question, candidate) for candidate in candidates])

    def computed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair of question and candidate."""
        import torch

        with torch.inference_mode():
            found: list[float] = self.logits(*zip(*pairs, strict=True)).tolist()
        return found

    def logits(self, questions: Sequence[str], candidates: Sequence[str]) -> torch.Tensor:
        """The score of each pair of question and candidate (N), through which gradients flow."""
        import torch

        with torch.autocast("cpu", torch.bfloat16):
            means = self.encoder.means(questions, MAX_TOKENS, candidates).float()
        found: torch.Tensor = self.score(means).squeeze(-1)
        return found


def load_reranker(progress: Progress = SILENT) -> Reranker | None:
    """The reranker that comes with the package; None where there is none. Raises ModelError where its encoder cannot be had."""
    if not TAUGHT:
        return None
    return _loaded(encoder_folder(progress), TAUGHT)


@lru_cache(maxsize=1)
def _loaded(folder: Path, adapter: Path) -> Reranker:
    reranker = Reranker(Encoder(folder, adapter))
    put_score_in(reranker, adapter)
    return reranker


def put_score_in(reranker: Reranker, adapter: Path) -> None:
    """Read the last layer from an adapter's folder. Raises ModelError where it is not there."""
    from safetensors.torch import load_file

    with model_errors(f"{adapter} cannot be read"):
        tensors = load_file(adapter / "adapter_model.safetensors")
        reranker.score.load_state_dict({"weight": tensors[WEIGHT].float(), "bias": tensors[BIAS].float()})
