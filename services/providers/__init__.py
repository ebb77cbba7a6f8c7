"""Adapters to what produces tokens."""
