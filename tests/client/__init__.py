"""The client that others import, run by Node."""
