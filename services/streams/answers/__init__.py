"""Answers that serve more than once: whole ones from the cache, running ones to all who ask the same.

    key       what has to be the same for two streams to have the same answer
    cache     whole answers in the store, in a table of bounded size
    flight    one generation that several streams read
    seat      one stream's part in it: where its events come from, and what it pays

Whoever makes an answer that may serve again writes it to a log that no caller can find; each
stream copies the events from there through its own pen. So pieces, numbers, cancel, deadline and
readers are each stream's own, and what is kept is what that log held.
"""
