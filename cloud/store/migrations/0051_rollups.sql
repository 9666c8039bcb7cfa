-- What readings amount to by minute, hour and day (cloud/store/rollups.py); our own tables on every kind of server.
--
-- count, sum, min, max, last and last_time are those of readings that are good or uncertain, bad counts the others, and
-- quality is the worst of all: 0 good, 1 uncertain, 2 bad. Where every reading is bad, min, max, last are null.

CREATE TABLE rollup_minute (
    time      timestamptz NOT NULL,             -- its beginning
    last_time timestamptz,
    count     bigint NOT NULL,
    bad       bigint NOT NULL,
    sum       double precision NOT NULL,
    min       double precision,
    max       double precision,
    last      double precision,
    series_id integer NOT NULL,
    quality   smallint NOT NULL,
    PRIMARY KEY (series_id, time)
) PARTITION BY RANGE (time);
CREATE TABLE rollup_minute_early PARTITION OF rollup_minute DEFAULT;

-- The rows of the hour and the day that go on are written every minute: some room keeps them on their page.
CREATE TABLE rollup_hour (
    time      timestamptz NOT NULL,
    last_time timestamptz,
    count     bigint NOT NULL,
    bad       bigint NOT NULL,
    sum       double precision NOT NULL,
    min       double precision,
    max       double precision,
    last      double precision,
    series_id integer NOT NULL,
    quality   smallint NOT NULL,
    PRIMARY KEY (series_id, time)
) WITH (fillfactor = 70);
CREATE INDEX rollup_hour_time ON rollup_hour USING brin (time);

CREATE TABLE rollup_day (LIKE rollup_hour INCLUDING INDEXES) WITH (fillfactor = 70);

-- Parts of minutes (level 0), hours (1) and days (2) that wait to be added: readings that came after their minute had
-- been closed, and summaries. Nobody looks anything up in here.
CREATE TABLE rollup_due (
    level     smallint NOT NULL,
    series_id integer NOT NULL,
    time      timestamptz NOT NULL,
    last_time timestamptz,
    count     bigint NOT NULL,
    bad       bigint NOT NULL,
    sum       double precision NOT NULL,
    min       double precision,
    max       double precision,
    last      double precision,
    quality   smallint NOT NULL
);

CREATE TABLE rollup_state (                     -- one row
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    horizon timestamptz NOT NULL,               -- who brings a reading of before then leaves its part in rollup_due
    closed  timestamptz NOT NULL,               -- the minutes before then are in the tables
    -- What retention has left: before then there may be gaps.
    readings_from timestamptz NOT NULL DEFAULT '-infinity',
    minutes_from  timestamptz NOT NULL DEFAULT '-infinity',
    hours_from    timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- The horizon, for whoever is about to write readings. The transaction has its number before the horizon is read: a
-- function that is volatile sees with each of its statements what was committed before that statement.
CREATE FUNCTION rollup_horizon() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_current_xact_id();
    RETURN (SELECT horizon FROM rollup_state);
END $$;

-- What is here already.
LOCK TABLE reading, summary IN SHARE MODE;
INSERT INTO rollup_state (horizon, closed) SELECT m, m FROM date_trunc('minute', now()) AS m;
INSERT INTO rollup_due (level, series_id, time, last_time, count, bad, sum, min, max, last, quality)
SELECT 0, r.series_id, date_bin('1 minute', r.time, '2000-01-01 00:00:00+00') AS minute,
    max(r.time) FILTER (WHERE fit), count(*) FILTER (WHERE fit), count(*) FILTER (WHERE NOT fit),
    coalesce(sum(r.value) FILTER (WHERE fit), 0), min(r.value) FILTER (WHERE fit), max(r.value) FILTER (WHERE fit),
    (array_agg(r.value ORDER BY r.time DESC, r.value DESC) FILTER (WHERE fit))[1], max(r.quality)
FROM reading r, rollup_state, LATERAL (SELECT r.quality < 2 AND r.value BETWEEN -1e100 AND 1e100 AS fit) f
WHERE r.time < horizon GROUP BY r.series_id, minute;
INSERT INTO rollup_due (level, series_id, time, last_time, count, bad, sum, min, max, last, quality)
SELECT level, series_id, date_bin(width, s.time, '2000-01-01 00:00:00+00'), CASE WHEN fit THEN s.until END,
    CASE WHEN fit THEN s.count ELSE 0 END, CASE WHEN fit THEN 0 ELSE s.count END,
    CASE WHEN fit THEN least(greatest(s.mean, s.min), s.max) * s.count ELSE 0 END, CASE WHEN fit THEN s.min END, CASE WHEN fit THEN s.max END,
    CASE WHEN fit THEN s.last END, s.quality
FROM summary s, LATERAL (SELECT s.quality < 2 AND s.min >= -1e100 AND s.max <= 1e100 AS fit) f,
    LATERAL (
        SELECT level, width FROM (
            VALUES (0, interval '1 minute', 0), (1, interval '1 hour', 0), (2, interval '1 day', 1)
        ) AS l (level, width, always)
        WHERE always = 1 OR date_bin(width, s.time, '2000-01-01 00:00:00+00')
            = date_bin(width, s.until, '2000-01-01 00:00:00+00')
        ORDER BY level LIMIT 1
    ) w
WHERE s.count BETWEEN 1 AND 1000000000 AND s.min <= s.max;
