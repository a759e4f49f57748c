"""Engrain and its peers, one file each: how each is installed, and how it trains on rows of tokens.

A trainer is a module with

- `REQUIREMENTS`: what pip installs into an environment of its own, pinned; none: engrain's own environment
- `VARIANTS`: the (method, precision) pairs that it can train, its best settings in each
- `UNNEEDED`, where it has one: what comes along with these and is taken out again
- `DEVICES`, where it has one: the devices that it runs on
- `train(job, turns)`: trains, telling a row for each step

It runs as a process of its own (`python -m benchmarks.trainers NAME JOB`) and imports its library inside `train`, so that it
can be looked at without it. A new peer is one new file.
"""
