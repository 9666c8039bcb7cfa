"""What a node and the cloud say to each other. No I/O, no clock: only names, shapes and their encoding."""
