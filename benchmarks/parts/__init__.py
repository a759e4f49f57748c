"""What is measured, one file for each part of the page.

A part is a module with

- `TITLE` and `ABOUT`: the heading of its section, and what was done, in a few sentences
- `cells(options)`: name → a function that measures it and returns a row; each cell can be measured alone
- `targets(results)`, of a part that has some: what was to be reached, beside what was measured
- `section(results, images)`: the lines of its section, made from the rows alone; plots go into the folder `images`
"""

NAMES = ("machine", "training", "precision", "generation", "start", "growth", "memory", "plan", "serve", "gpu")
"""In the order of the page."""
