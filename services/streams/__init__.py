"""The core: a log in the middle, a producer on its left, readers on its right."""
