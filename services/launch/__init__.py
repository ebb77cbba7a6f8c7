"""What stands around the service: environment, embedded model, child processes, a clean end.

`make run` is ``python -m services.launch``; a deployment starts gunicorn itself and needs none
of this. ``install.py`` runs before anything is installed, so this package imports nothing.
"""
