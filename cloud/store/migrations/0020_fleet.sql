-- What each node shall run, who said so and when. Releases themselves lie in the signed repository, which alone is right
-- about them; the director signs what stands here.

ALTER TABLE node ADD COLUMN broker_hash text NOT NULL DEFAULT '';  -- bcrypt of the secret, as the broker checks it

CREATE TABLE assignment (                       -- the latest of a node and detector holds
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site     text NOT NULL,
    node     text NOT NULL,
    name     text NOT NULL,                     -- the detector
    version  text NOT NULL,
    assigned timestamptz NOT NULL DEFAULT now(),
    assigned_by text NOT NULL DEFAULT '',
    FOREIGN KEY (site, node) REFERENCES node ON DELETE CASCADE
);
CREATE INDEX assignment_node ON assignment (site, node, name, id DESC);
