-- The last heartbeat of each node that came the whole way: through outbox, broker, ingest, journal and rules.
ALTER TABLE node ADD COLUMN heartbeat timestamptz;

COMMENT ON COLUMN reading.replaced IS 'the time is not the one the node told: its clock was wrong, or the time lay in the future';
COMMENT ON COLUMN event.replaced IS 'the times are not those the node told: its clock was wrong, or they lay in the future';
