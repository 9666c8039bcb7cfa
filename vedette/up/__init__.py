"""``vedette up``: the whole system on one machine, every part a child of this process."""
