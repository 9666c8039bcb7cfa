"""Number plates: from characters that readers believe to have seen to a text that a plate can carry."""
