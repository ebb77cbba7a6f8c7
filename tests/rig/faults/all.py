"""All faults that there are: importing this puts them on the scorecard, in this order."""

from tests.rig.faults import crash, deploy, halves, network, race, store

LISTED = (network, halves, race, crash, deploy, store)
