"""Where state lives: one protocol, and a store in memory, in a file, in Redis."""
