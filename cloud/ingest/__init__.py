"""From the broker into the database, and only then an acknowledgement; the rules follow the journal."""
