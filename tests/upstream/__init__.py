"""The fault upstream: a provider that breaks as it is told to.

It speaks OpenAI's protocol from plain threads and sockets, in a process of its own
(``python -m tests.upstream`` prints its port). The model's name chooses what happens
(``faults.py``), the test opens gates, and a journal tells what arrived and when the peer
closed (``journal.py``): so no test sleeps, and none believes the service about itself.
"""
