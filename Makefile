# Everything lives in .venv. The stamp makes a second `make install` instant, and a changed pyproject.toml or
# constraints.txt makes it run again.
.PHONY: install demo test check docs

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt scripts/install
	scripts/install
	@touch $@

demo: install
	.venv/bin/engrain demo --minutes 4.75

test: install
	scripts/test

check: install
	scripts/check

docs: install
	.venv/bin/python scripts/make_cli_docs.py
