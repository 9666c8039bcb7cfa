-- The last heartbeat of each node that came the whole way: through outbox, broker, ingest, journal and rules.
ALTER TABLE node ADD COLUMN heartbeat timestamptz;
