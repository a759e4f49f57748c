"""The server: an OpenAI-compatible API over runs and fine-tuning jobs, and the page for people without a shell."""
