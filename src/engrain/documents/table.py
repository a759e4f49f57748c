"""Tables as text: .csv .tsv."""

from __future__ import annotations

import csv
from pathlib import Path

from engrain.documents.base import Part, Reader, Unreadable, decode, sheet

DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Table(Reader):
    """Finds out the delimiter, the header row and where one table ends and the next begins."""

    suffixes = tuple(DELIMITERS)

    def read(self, path: Path) -> list[Part]:
        """The whole file as one part; short rows are filled up, columns without a name stay nameless."""
        text = decode(path.read_bytes())
        try:
            rows = list(csv.reader(text.splitlines(keepends=True), dialect(text, path.suffix.lower())))
        except csv.Error as error:
            raise Unreadable(f"no table can be read from it ({error})", "save it again as CSV with quotes around texts") from error
        return [Part(sheet(rows, level=2))]


def dialect(text: str, suffix: str) -> type[csv.Dialect]:
    """The delimiter and quotes of the text; those that the suffix promises where the text does not tell."""

    class Promised(csv.excel):
        delimiter = DELIMITERS[suffix]

    try:
        found = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        return Promised
    found.doublequote = True  # The sniffer says no where the sample has no doubled quote, and a later one would break.
    return found
