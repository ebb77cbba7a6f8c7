"""The TCP fault proxy: it stands before a server and spoils what passes, as it is told, while it runs.

It is a process of its own (``python -m tests.proxy <port>`` prints the port that it listens on),
so that nothing in a test can hold it up. The toxics are named as in Toxiproxy, and hold per
direction: ``up`` is what clients send, ``down`` what they get.
"""
