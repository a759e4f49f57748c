"""Documents: files of many kinds become sections of Markdown."""
