"""Knowledge: sections become facts, facts become wordings."""
