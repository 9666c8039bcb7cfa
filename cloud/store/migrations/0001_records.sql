-- Nodes, what they send, the journal of it, and how far everybody has come.
-- Numbers of migrations: 0001 to 0009 records, 0010 to 0019 warnings, 0020 to 0029 fleet, 0030 to 0039 evidence and people.

CREATE TABLE node (
    site        text NOT NULL,
    node        text NOT NULL,
    partition   smallint NOT NULL CHECK (partition BETWEEN 0 AND 255),
    secret_hash text NOT NULL DEFAULT '',
    enrolled    timestamptz NOT NULL DEFAULT now(),
    state       jsonb,                          -- contract.messages.NodeState
    state_time  timestamptz,                    -- when it came
    health      jsonb,                          -- contract.records.Health, the latest
    health_time timestamptz,
    PRIMARY KEY (site, node)
);
CREATE INDEX node_partition ON node (partition);

CREATE TABLE source (
    site        text NOT NULL,
    node        text NOT NULL,
    source      text NOT NULL,
    kind        text NOT NULL,
    title       text NOT NULL,
    note        text NOT NULL,
    health      jsonb NOT NULL,                 -- contract.records.SourceHealth, the latest
    health_time timestamptz NOT NULL,
    PRIMARY KEY (site, node, source)
) WITH (fillfactor = 70);

CREATE TABLE series (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site     text NOT NULL,
    node     text NOT NULL,
    source   text NOT NULL,
    quantity text NOT NULL,
    unit     text NOT NULL,
    UNIQUE (site, node, source, quantity, unit)
);

-- quality: 0 good, 1 uncertain, 2 bad. lane: 0 alarm, 1 live, 2 backlog. replaced: the node's time lay in the future and
-- the time of arrival stands in its place.
DO $$
BEGIN
    IF current_setting('shared_preload_libraries') LIKE '%timescaledb%' THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        CREATE TABLE reading (
            time timestamptz NOT NULL, series_id integer NOT NULL, value double precision NOT NULL,
            quality smallint NOT NULL, lane smallint NOT NULL, arrived timestamptz NOT NULL,
            replaced boolean NOT NULL DEFAULT false
        );
        PERFORM create_hypertable('reading', 'time', chunk_time_interval => interval '1 day', create_default_indexes => false);
    ELSE
        CREATE TABLE reading (
            time timestamptz NOT NULL, series_id integer NOT NULL, value double precision NOT NULL,
            quality smallint NOT NULL, lane smallint NOT NULL, arrived timestamptz NOT NULL,
            replaced boolean NOT NULL DEFAULT false
        ) PARTITION BY RANGE (time);
        CREATE TABLE reading_early PARTITION OF reading DEFAULT;
    END IF;
END $$;
CREATE INDEX reading_series_time ON reading (series_id, time DESC);

CREATE TABLE latest (                           -- the newest reading of each series
    series_id integer PRIMARY KEY REFERENCES series ON DELETE CASCADE,
    time      timestamptz NOT NULL,
    value     double precision NOT NULL,
    quality   smallint NOT NULL,
    lane      smallint NOT NULL,
    arrived   timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE summary (                          -- stands for readings that a full disk forced out
    series_id integer NOT NULL REFERENCES series,
    time      timestamptz NOT NULL,
    until     timestamptz NOT NULL,
    count     bigint NOT NULL,
    min       double precision NOT NULL,
    max       double precision NOT NULL,
    mean      double precision NOT NULL,
    last      double precision NOT NULL,
    quality   smallint NOT NULL,
    lane      smallint NOT NULL,
    arrived   timestamptz NOT NULL
);
CREATE INDEX summary_series_time ON summary (series_id, time DESC);

CREATE TABLE event (                            -- the latest revision of each
    site       text NOT NULL,
    node       text NOT NULL,
    id         text NOT NULL,
    source     text NOT NULL,
    kind       text NOT NULL,
    phase      text NOT NULL,                   -- open, change, close
    revision   bigint NOT NULL,
    time       timestamptz NOT NULL,
    started    timestamptz NOT NULL,
    zone       text NOT NULL,
    score      double precision NOT NULL,
    model      jsonb,                           -- {name, version, sha256}
    detections jsonb NOT NULL,                  -- [{label, score, box, track}]
    attrs      jsonb NOT NULL,
    detected   timestamptz,
    lane       smallint NOT NULL,
    arrived    timestamptz NOT NULL,
    replaced   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (site, node, id)
);
CREATE INDEX event_id ON event (id);
CREATE INDEX event_time ON event (time DESC);

CREATE TABLE evidence (
    site       text NOT NULL,
    node       text NOT NULL,
    event      text NOT NULL,
    sha256     text NOT NULL,
    bytes      bigint NOT NULL,
    media_type text NOT NULL,
    role       text NOT NULL,                   -- snapshot, clip
    source     text NOT NULL,
    time       timestamptz NOT NULL,
    duration_s double precision NOT NULL,
    arrived    timestamptz NOT NULL,
    stored     boolean NOT NULL DEFAULT false,  -- whether the bytes are here
    PRIMARY KEY (site, node, event, sha256)
);
CREATE INDEX evidence_sha256 ON evidence (sha256);
CREATE INDEX evidence_event ON evidence (event);

-- What happened, in order. seq rises within a partition; its upper bits are the day (seq >> 40 = days since 1970), so
-- that a day of the journal is a table of its own and can be dropped whole.
CREATE TABLE journal (
    partition smallint NOT NULL,
    seq       bigint NOT NULL,
    kind      text NOT NULL,                    -- batch, tick, rules
    site      text,
    node      text,
    lane      smallint,
    epoch     bigint,
    first     bigint,
    last      bigint,
    arrived   timestamptz NOT NULL,
    body      bytea NOT NULL,                   -- batch: as it came over the wire; rules: the rule set
    PRIMARY KEY (partition, seq)
) PARTITION BY RANGE (seq);

CREATE TABLE journal_head (                     -- the last seq of each partition: who writes must know it
    partition smallint PRIMARY KEY,
    seq       bigint NOT NULL,
    rules     text NOT NULL DEFAULT ''          -- SHA-256 of the last entry of kind rules
) WITH (fillfactor = 50);

CREATE TABLE position (                         -- what the database holds of each lane of each outbox
    site     text NOT NULL,
    node     text NOT NULL,
    epoch    bigint NOT NULL,
    lane     smallint NOT NULL,
    position bigint NOT NULL,
    changed  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site, node, epoch, lane)
) WITH (fillfactor = 50);

CREATE TABLE quarantine (                       -- what could not be taken in, and why
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    arrived   timestamptz NOT NULL,
    topic     text NOT NULL,
    partition smallint,
    site      text,
    node      text,
    lane      smallint,
    epoch     bigint,
    number    bigint,                           -- the record's number in its lane, where one record is meant
    reason    text NOT NULL,
    body      bytea NOT NULL
);
CREATE INDEX quarantine_arrived ON quarantine (arrived);

CREATE TABLE rule_state (                       -- how far the rules have followed the journal
    partition     smallint PRIMARY KEY,
    seq           bigint NOT NULL,              -- signals up to here are in the table signal
    snapshot_seq  bigint NOT NULL,              -- the state below is that after this entry
    snapshot      bytea,                        -- rules.engine.Engine.snapshot(); null: a fresh engine
    snapshot_time timestamptz NOT NULL,
    rules         bytea NOT NULL                -- the rule set the state belongs to
) WITH (fillfactor = 50);

CREATE TABLE signal (
    partition smallint NOT NULL,
    seq       bigint NOT NULL,                  -- the journal's entry that gave it
    number    integer NOT NULL,                 -- among the signals of that entry
    warning   text NOT NULL,
    rule      text NOT NULL,
    key       text NOT NULL,
    action    text NOT NULL,                    -- raise, change, clear
    kind      text NOT NULL,
    severity  text NOT NULL,
    time      timestamptz NOT NULL,
    body      jsonb NOT NULL,                   -- rules.signal.Signal
    PRIMARY KEY (partition, seq, number)
);
CREATE INDEX signal_warning ON signal (warning, time);
CREATE INDEX signal_time ON signal (time);

CREATE TABLE feed (                             -- what changed, for the live stream; see cloud/store/feed.py
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    time  timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,                        -- reading, node, event, warning
    key   text NOT NULL,
    body  jsonb NOT NULL
);
CREATE INDEX feed_xid ON feed (xid, id);
CREATE INDEX feed_time ON feed (time);

CREATE UNLOGGED TABLE worker (                  -- ingest workers by session; a beat that stands still is a stall
    backend integer PRIMARY KEY,
    name    text NOT NULL,
    started timestamptz NOT NULL DEFAULT now(),
    beat    bigint NOT NULL DEFAULT 0
);
