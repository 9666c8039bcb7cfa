"""``vedette node check``: each probe tries one thing the node needs, for real, and tells what it found."""
