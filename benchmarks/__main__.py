"""Measure engrain and its peers, part by part, and write docs/performance.md with a page for each machine."""

from __future__ import annotations

import sys
import time

import click

from benchmarks import page, parts, quick
from benchmarks.measuring import Options
from benchmarks.parts import gpu
from benchmarks.results import Results, everywhere, here
from engrain.cores import usable_cores


@click.command(context_settings={"max_content_width": 120})
@click.argument("part", required=False, type=click.Choice(parts.NAMES))
@click.argument("cells", nargs=-1)
@click.option("--again", is_flag=True, help="Measure what was measured already once more.")
@click.option("--quick", "in_minutes", is_flag=True, help="Engrain alone, in a few minutes, beside the figures of the run before.")
@click.option("--gpu", "on_card", is_flag=True, help="The CUDA configurations; ends with exit code 2 where there is no such device.")
@click.option("--list", "listing", is_flag=True, help="Name all cells and say which are measured; measure nothing.")
@click.option("--render", is_flag=True, help="Write the page from the results there are; measure nothing.")
@click.option("--before", default="", help="A command to wait for before each step: one that ends when a shared machine is quiet.")
@click.option("--threads", default=usable_cores(), show_default="all", help="Threads of every measured process.")
def main(
    part: str | None,
    cells: tuple[str, ...],
    again: bool,
    in_minutes: bool,
    on_card: bool,
    listing: bool,
    render: bool,
    before: str,
    threads: int,
) -> None:
    """Measure what is not measured yet of a PART (default: all), or some of its CELLS, and write docs/performance.md.

    Results are kept in benchmarks/results/MACHINE/ cell by cell, so that a run that was stopped goes on where it was.
    """
    results = here()
    options = Options(threads, "cuda" if on_card else "cpu", in_minutes, before)
    if on_card:
        need_card()
    if in_minutes:
        print("\n".join(quick.measure(options, results)))
        return
    chosen = [part] if part else ["gpu"] if on_card else list(parts.NAMES)
    if not render:
        for name in chosen:
            go_through(name, cells, options, results, again, listing)
    if not listing:
        print(f"Written: {page.write(everywhere())}")


def go_through(part: str, wanted: tuple[str, ...], options: Options, results: Results, again: bool, listing: bool) -> None:
    """Measure the cells of a part that are not measured yet; or only name all."""
    cells = page.part(part).cells(options)
    unknown = set(wanted) - set(cells)
    if unknown:
        raise click.UsageError(f"{part} has no cell {', '.join(sorted(unknown))}; it has {', '.join(cells)}.")
    done = results.read(part)
    for name, measure in cells.items():
        if listing:
            print(f"{part} {name}: {'measured ' + done[name]['measured'] if name in done else 'not measured'}")
        elif name in (wanted or cells) and (again or name not in done):
            started = time.perf_counter()
            print(f"{part} {name} …", file=sys.stderr, flush=True)
            results.put(part, name, measure())
            print(f"{part} {name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def need_card() -> None:
    """End with exit code 2, saying what lacks, where nothing can be measured on CUDA."""
    lacking = gpu.missing()
    if lacking:
        print("make bench-gpu measures on a CUDA device, and there is none to use:", *lacking, sep="\n- ", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
