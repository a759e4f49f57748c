"""What engrain's engine costs, beside its peers and beside what the machine can do: `python -m benchmarks --help`."""
