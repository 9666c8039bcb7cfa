"""The network, what it is punished for, what it sees, and the loop that trains it."""
