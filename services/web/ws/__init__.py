"""Streams over a WebSocket: several on one socket, each by the ``ref`` that its caller gave it."""
