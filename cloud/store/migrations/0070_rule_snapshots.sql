-- States of the rules that are kept for as long as the journal is, so that they can be let loose on it again from any point
-- and say exactly what they said. The one in rule_state is the latest, for a takeover.
CREATE TABLE rule_snapshot (
    partition smallint NOT NULL,
    seq       bigint NOT NULL,                  -- the state is that after this entry; 0: before the first
    time      timestamptz NOT NULL,             -- when it was kept: no entry up to seq arrived later
    rules     bytea NOT NULL,
    snapshot  bytea,                            -- as in rule_state
    PRIMARY KEY (partition, seq)
);
CREATE INDEX rule_snapshot_time ON rule_snapshot (time);
INSERT INTO rule_snapshot (partition, seq, time, rules, snapshot)
SELECT partition, snapshot_seq, snapshot_time, rules, snapshot FROM rule_state;
