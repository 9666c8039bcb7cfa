"""A release: golden samples, card, filing data, manifest, and what must not ship."""
