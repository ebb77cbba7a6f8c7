"""The HTTP server: gunicorn's worker, made to fit streams that last."""
