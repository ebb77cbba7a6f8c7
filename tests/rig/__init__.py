"""The fault rig: several real processes over one real Redis, clients that trust nobody, faults, and a judge.

    house.py       the processes: gunicorns, Redis, the fault upstream; signals to them
    app.py         what they serve: the live tests' relays, and a window into the process
    wire.py        one HTTP request over a raw socket
    clients.py     readers that write down all they hear, are cut, and go on where they were
    invariants.py  what must hold whatever happened (reliability, chapter 10)
    rig.py         streams by the dozen in one house, judged together
    faults/        what is done to them, each a function that says what it promises
    scorecard.py   all of it with one seed: ``make chaos``, docs/scorecard.md

Nothing here knows what the service thinks of itself: clients keep bytes, the upstream keeps a
journal, and the kernel tells what is open.
"""
