"""Engrain's server and its peers, one file each.

A server is a module with

- `TITLE`: its name in the table
- `command(port, clients, options)`: the command that serves the base model at a port of this machine, ready for so many clients
  at the same time; raises `environments.Unavailable`, with the reason, where it cannot be had

Both speak the OpenAI API and find the key that they want in `ENGRAIN_API_KEY`. A new peer is one new file.
"""
