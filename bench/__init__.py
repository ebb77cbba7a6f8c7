"""What a relayed chunk costs: Gloss beside the tutorial's way and nginx, in one run."""
