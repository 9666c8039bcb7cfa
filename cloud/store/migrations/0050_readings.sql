-- How readings are kept. Numbers 0050 to 0059 are the store's: rollups, retention, packing.

-- late: the reading is counted in the rollups by what its own transaction left in rollup_due, since its minute had been
-- closed by then. Before packing is turned on: TimescaleDB restricts what columns a packed hypertable takes afterwards.
ALTER TABLE reading ADD COLUMN late boolean NOT NULL DEFAULT false;

-- Packing is part of TimescaleDB's community edition; its Apache edition has none, and keeps its chunks as they are.
DO $$
BEGIN
    IF (SELECT relkind = 'r' FROM pg_class WHERE oid = 'reading'::regclass)
        AND current_setting('timescaledb.license', true) = 'timescale'
    THEN
        EXECUTE 'ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = ''series_id'', '
            || 'timescaledb.compress_orderby = ''time DESC'')';
    END IF;
END $$;
