"""Prometheus metrics of one API process, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """What ``GET /metrics`` shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.live_clients = Gauge("vedette_live_clients", "Subscribers of the live feed.", registry=self.registry)
        self.live_messages = Counter(
            "vedette_live_messages", "Messages made for the live feed.", ["type"], registry=self.registry
        )
        self.live_restarts = Counter(
            "vedette_live_slow_clients", "Subscribers too slow for changes, given a snapshot.", registry=self.registry
        )
        self.live_seconds = Histogram(
            "vedette_live_round_seconds",
            "From the wake of the feed's reader to the last subscriber's queue.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
            registry=self.registry,
        )
        self.evidence_bytes = Counter(
            "vedette_evidence_received_bytes", "Bytes of evidence that nodes uploaded.", registry=self.registry
        )
        self.evidence_files = Counter(
            "vedette_evidence_received", "Evidence files taken in or refused.", ["result"], registry=self.registry
        )
        self.warnings = Gauge("vedette_warnings", "Warnings on the list.", ["state"], registry=self.registry)
        self.nodes = Gauge("vedette_nodes", "Nodes by whether they are connected.", ["state"], registry=self.registry)
        self.rollups_age = Gauge(
            "vedette_rollups_age_seconds", "Since the end of the last minute that is rolled up.", registry=self.registry
        )
        self.heartbeat_seconds = Gauge(
            "vedette_heartbeat_seconds",
            "Age of the last heartbeat, of any node, that came the whole way.",
            registry=self.registry,
        )
        self.heartbeats_missing = Gauge(
            "vedette_heartbeats_missing",
            "Connected nodes whose heartbeat has not come through for three minutes.",
            registry=self.registry,
        )
        self.rules_behind = Gauge(
            "vedette_rules_behind_entries", "Journal entries that no rule has followed yet.", registry=self.registry
        )
