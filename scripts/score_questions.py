"""How near the questions that rules make of a text come to what a good writer asks: `scripts/score_questions.py [--untaught] [TRADE…]`.

The corpus has businesses with a good writer's questions. For each of these the training question nearest in meaning is
looked up among those that rules make of the business's documents: is its answer the right one (top 1), is the right one
among the answers of the nearest five? No training. Questions in the document's words (two thirds of theirs stand in the
sentence) count apart from those in words of their own (one third at most). Last come how many answers are found at all, and for
how many questions the passage with the sentence is the nearest one (by meaning alone), or one of two. `--untaught` takes the
sentence encoder as its authors left it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict

import numpy as np

from engrain.documents.base import Section, read_documents
from engrain.encoder import Encoder, Meaning, load_encoder
from engrain.knowledge.dataset import make_examples
from engrain.knowledge.facts import find_facts, names_of
from engrain.passages import cut
from engrain.study.lessons import CORPUS
from engrain.study.matching import different
from engrain.words import canonical, holds, keywords

NEAREST = 5


def main(trades: list[str], taught: bool = True) -> None:
    """Print a row for each trade and the mean of all."""
    encoder = load_encoder(taught=taught)
    print(f"{'trade':16} {'questions':>9}  direct top 1, {NEAREST}   reworded top 1, {NEAREST}   found  passage, two")
    rows = [row for trade in trades or sorted(path.stem for path in CORPUS.glob("*.txt")) if (row := scored(trade, encoder))]
    print(f"{'mean of ' + str(len(rows)):16} {'':9}  " + "  ".join(f"{share:6.3f}" for share in np.mean(rows, axis=0)))


def scored(trade: str, encoder: Encoder) -> list[float]:
    """The shares of one trade: direct top 1 and 5, reworded top 1 and 5, answers that any training question has, passages top 1 and 2."""
    documents = read_documents([CORPUS / f"{trade}.txt"]).documents
    facts = find_facts(documents)
    passages = [passage for document in documents for section in document.sections for passage in cut(section)]
    asked = [row for row in make_examples(facts).train if row.kind in ("question", "reverse")]
    meaning = Meaning(encoder, names_of(facts))
    trained = meaning.of_all([example.messages[-2].content for example in asked])
    answers = [canonical(example.messages[-1].content) for example in asked]
    rows = [json.loads(line) for line in (CORPUS / f"{trade}.jsonl").read_text(encoding="utf-8").splitlines()]
    pairs = [(row, question) for row in rows if "sentence" in row and not row.get("yesno") for question in row["questions"]]
    vectors = meaning.of_all([question for _, question in pairs])
    near = np.argsort(-(vectors @ trained.T), axis=1)
    shown = np.argsort(-(vectors @ meaning.of_all([" ".join([*p.headings, p.text]) for p in passages]).T), axis=1)
    right: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    found = {}
    for (row, question), order in zip(pairs, near, strict=True):
        value = canonical(row["answer"])
        hits = [holds(answers[i], value) for i in different(order, answers, NEAREST)]
        right[kind_of(question, row["sentence"], row["business"])].append((hits[0], any(hits)))
        found[row["sentence"], value] = any(holds(answer, value) for answer in answers)
    shares = [float(np.mean([hit[i] for hit in right[kind]])) for kind in ("direct", "reworded") for i in (0, 1)]
    shares.append(float(np.mean(list(found.values()))))
    shares += [float(np.mean([holding(row, passages, order[:k]) for (row, _), order in zip(pairs, shown, strict=True)])) for k in (1, 2)]
    print(f"{trade:16} {len(asked):9,}  " + "  ".join(f"{share:6.3f}" for share in shares), flush=True)
    return shares


def holding(row: dict[str, str], passages: list[Section], numbers: np.ndarray) -> bool:
    """Whether the row's sentence stands in one of these passages."""
    return any(row["sentence"] in passages[i].text for i in numbers)


def kind_of(question: str, sentence: str, business: str) -> str:
    """Whether the question asks in the sentence's words, in words of its own, or in between."""
    words = set(keywords(question)) - set(keywords(business))
    share = len(words & set(keywords(sentence))) / max(len(words), 1)
    return "direct" if share >= 2 / 3 else "reworded" if share <= 1 / 3 else "between"


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name != "--untaught"], "--untaught" not in sys.argv)
