"""What happens around the service: its start, its keys, its model."""
