"""What an ingest worker counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The worker's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("vedette_ingest_records", "Records committed", ["lane"], registry=registry)
        self.bytes = Counter("vedette_ingest_bytes", "Bytes of batches committed", registry=registry)
        self.batches = Counter(
            "vedette_ingest_batches", "Batches, by what became of them", ["verdict"], registry=registry
        )
        self.quarantined = Counter("vedette_ingest_quarantined", "Messages and records set apart", registry=registry)
        self.dropped = Counter("vedette_ingest_dropped", "Messages there was no room for", registry=registry)
        self.commit_seconds = Histogram(
            "vedette_ingest_commit_seconds",
            "Time one transaction took",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.rules_seconds = Histogram(
            "vedette_ingest_rules_seconds",
            "Time the rules took for what one transaction brought",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=registry,
        )
        self.signals = Counter("vedette_ingest_signals", "Signals the rules gave", registry=registry)
        self.rule_faults = Counter(
            "vedette_ingest_rule_faults", "Times the rules had to begin again", registry=registry
        )
        self.waiting_bytes = Gauge(
            "vedette_ingest_waiting_bytes", "Bytes that wait for their commit", registry=registry
        )
        self.partitions = Gauge(
            "vedette_ingest_partitions", "Partitions whose nodes this worker hears", registry=registry
        )
        self.behind = Gauge(
            "vedette_ingest_rules_behind", "Partitions whose rules are still reading the journal", registry=registry
        )
        self.behind_seconds = Gauge(
            "vedette_ingest_rules_behind_seconds",
            "Age of the last journal entry that the rules have seen, where they are behind the most",
            registry=registry,
        )
        self.sessions = Counter("vedette_ingest_sessions", "Database sessions begun", registry=registry)
        self.evicted = Counter("vedette_ingest_evicted", "Stalled workers whose session was ended", registry=registry)
