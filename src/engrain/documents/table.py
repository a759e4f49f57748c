"""Tables as text: .csv .tsv."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from engrain.documents._tables import sheet
from engrain.documents.base import Part, Reader, Unreadable, decode

DELIMITERS = ",;\t|"


class Table(Reader):
    """Finds out the delimiter, the header row and where one table ends and the next begins."""

    suffixes = (".csv", ".tsv")

    def read(self, path: Path) -> list[Part]:
        """The whole file as one part; short rows are filled up, columns without a name stay nameless."""
        text = decode(path.read_bytes())
        try:
            return [Part(sheet(rows(text, delimiter(text)), level=2))]
        except csv.Error as error:
            raise Unreadable(f"no table can be read from it ({error})", "save it again as CSV with quotes around texts") from error


def rows(text: str, delimiter: str) -> list[list[str]]:
    """The cells of every row."""
    return list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True))


def delimiter(text: str) -> str:
    """The delimiter that cuts most rows into cells, and into the same number of them.

    The standard library's sniffer takes the comma in `Kayak;12,50` for one.
    """

    def cut(candidate: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in rows(text[:20_000], candidate) if len(row) > 1)
        return widths.total(), max(widths.values(), default=0)

    return max(DELIMITERS, key=cut)
