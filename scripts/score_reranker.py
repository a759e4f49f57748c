"""How well the reranker finds the answer that a question is after, on trades it never saw: `scripts/score_reranker.py [TRADE…]`.

Of each question of a good writer, and of each that the documents do not answer, the ten nearest answers of rules' questions (by
the sentence encoder) are read by the reranker. Columns: questions; whether the right answer is among the ten; whether it is the
nearest; the one that the reranker scores highest; the highest with the weights of mode `both`, but without any model's likelihood.
Then: how often the best answer to an answerable question scores higher than the best to an unanswerable one (AUROC), both ways.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from engrain.encoder import load_encoder
from engrain.reranker import Reranker, load_reranker
from engrain.study.lessons import CORPUS, read_trade
from engrain.study.matching import HELDOUT_TRADES, Business, business_of, different
from engrain.weighing import FIT, NEARNESS
from engrain.words import canonical, holds

NEAREST = 10
Numbers = NDArray[np.float64]


def main(trades: list[str]) -> None:
    """Print a row for each trade and one for all."""
    reranker = load_reranker()
    assert reranker, "this needs the adapter that comes with the package"
    print(f"{'trade':12} questions  among {NEAREST}  nearest  reranked  weighed   AUROC nearest  reranked")
    all_answerable, all_unanswerable = list[Numbers](), list[Numbers]()
    for trade in trades or HELDOUT_TRADES:
        answerable, unanswerable = scored(business_of(read_trade(CORPUS / f"{trade}.jsonl")), reranker)
        show(trade, answerable, unanswerable)
        all_answerable += answerable
        all_unanswerable += unanswerable
    show("all", all_answerable, all_unanswerable)


def scored(business: Business, reranker: Reranker) -> tuple[list[Numbers], list[Numbers]]:
    """For each answerable and unanswerable question: (3, answers) of whether right, how near, how well it fits."""
    asked = [(question, canonical(detail.answer)) for detail in business.details if not detail.yesno for question in detail.questions]
    asked += [(question, "") for question in business.unanswerable]
    answers = [canonical(each.answer) for each in business.asked]
    encoder = load_encoder()
    near = encoder.vectors([question for question, _ in asked]) @ encoder.vectors([each.question for each in business.asked]).T
    rows: tuple[list[Numbers], list[Numbers]] = [], []
    for (question, answer), cosines in zip(asked, near, strict=True):
        nearest = different(np.argsort(-cosines, kind="stable"), answers, NEAREST)
        right = [float(bool(answer) and holds(answers[i], answer)) for i in nearest]
        fits = reranker.scores(question, [business.asked[i].shown for i in nearest])
        rows[not answer].append(np.array([right, cosines[nearest], fits]))
    return rows


def show(name: str, rows: list[Numbers], unanswerable: list[Numbers]) -> None:
    """Print the shares of right answers, and how well answerable questions are told from others."""
    ways = (lambda r: r[1], lambda r: r[2], lambda r: NEARNESS * r[1] + FIT * r[2])
    shares = [np.mean([r[0].any() for r in rows]), *(np.mean([r[0][np.argmax(way(r))] for r in rows]) for way in ways)]
    areas = [np.mean([r[k].max() > np.array([u[k].max() for u in unanswerable]) for r in rows]) for k in (1, 2)]
    print(f"{name:12} {len(rows):9,}  " + "   ".join(f"{share:7.3f}" for share in [*shares, *areas]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
