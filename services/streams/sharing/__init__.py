"""How processes share streams over one store: what one makes, all can read, cancel and take over.

    publisher   this process's logs → the store, in batches, off the hot path
    follower    the store → copies of other processes' logs, and this process's inbox
    remote      a stream of another process, as if it were here
    keeper      leases: held for what this process makes, looked after for what nobody makes

Readers know nothing of it: they read a ``Log``, of their own process or a copy.
"""
