"""The fast parts, each tested against a plain reference."""
