"""Code completion: source files read and checked, completions, the build."""
