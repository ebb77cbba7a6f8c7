"""What clients can ask for; one module or folder each, and the file is the registration."""
