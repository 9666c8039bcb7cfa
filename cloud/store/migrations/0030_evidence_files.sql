-- Files that lie in the evidence store, whole and checked against their name; a node may upload one before the record
-- that speaks of it has come.

CREATE TABLE evidence_file (
    sha256 text PRIMARY KEY,
    bytes bigint NOT NULL,
    arrived timestamptz NOT NULL DEFAULT now()
);
