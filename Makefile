# Everything lives in .venv. The stamp makes a second `make install` instant, and a changed pyproject.toml or
# constraints.txt makes it run again.
.PHONY: install demo test check docs bench bench-quick bench-gpu

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt scripts/install
	scripts/install
	@touch $@

demo: install
	.venv/bin/engrain demo --minutes 4.75 --study-minutes 2.5

test: install
	scripts/test

check: install
	scripts/check

docs: install
	.venv/bin/python scripts/make_cli_docs.py

# What the engine costs, beside its peers and this machine's limit (docs/performance.md). Goes on where it was stopped.
bench: install
	.venv/bin/python -m benchmarks

bench-quick: install
	.venv/bin/python -m benchmarks --quick

bench-gpu: install
	.venv/bin/python -m benchmarks --gpu
