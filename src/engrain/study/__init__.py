"""What a model does for knowing: writing, reading, and keeping its old abilities."""
