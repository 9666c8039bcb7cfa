"""The demonstration site: one node with real clips, or drawn ones, and a gas detector that plays a measured fire."""
