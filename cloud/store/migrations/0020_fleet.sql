-- Which releases there are, and which of them each node shall run. The repositories on disk hold what is signed; these
-- tables say who wanted it and when, and what the director has to sign.

CREATE TABLE release (
    name      text NOT NULL,                    -- the detector
    version   text NOT NULL,
    sha256    text NOT NULL,                    -- of the manifest
    floor     text NOT NULL,                    -- the lowest version that may still run, as of this publication
    published timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL DEFAULT '',
    PRIMARY KEY (name, version)
);

CREATE TABLE assignment (                       -- the latest of a node and detector holds
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site     text NOT NULL,
    node     text NOT NULL,
    name     text NOT NULL,
    version  text NOT NULL,
    assigned timestamptz NOT NULL DEFAULT now(),
    assigned_by text NOT NULL DEFAULT '',
    FOREIGN KEY (site, node) REFERENCES node ON DELETE CASCADE
);
CREATE INDEX assignment_node ON assignment (site, node, name, id DESC);
