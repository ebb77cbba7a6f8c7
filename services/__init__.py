"""Gloss: everything between a request and the frames that answer it."""
