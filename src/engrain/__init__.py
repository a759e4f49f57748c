"""engrain: turn documents into a fine-tuned language model that people can query, and prove what it learned."""
