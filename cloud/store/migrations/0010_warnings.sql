-- Warnings, their steps, and who speaks to the public in their name.

CREATE TABLE warning (
    id text PRIMARY KEY,
    rule text NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('Extreme', 'Severe', 'Moderate', 'Minor', 'Unknown')),
    state text NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved', 'cancelled')),
    site text NOT NULL,
    node text NOT NULL,
    sources text[] NOT NULL,
    events text[] NOT NULL,
    episode timestamptz NOT NULL,
    raised timestamptz NOT NULL,
    changed timestamptz NOT NULL,
    cleared timestamptz,
    acknowledged_by text NOT NULL,
    assigned_to text NOT NULL,
    past boolean NOT NULL,
    revision integer NOT NULL,
    -- What the rule last said and the detector last saw: texts, condition, values, detections, model.
    content jsonb NOT NULL
);
CREATE INDEX warning_on_the_list ON warning (raised) WHERE state IN ('open', 'acknowledged');
CREATE INDEX warning_raised ON warning (raised);
CREATE INDEX warning_events ON warning USING gin (events);

-- One row for every revision of a warning: what a rule said or what a person did, and the CAP message that went out.
CREATE TABLE warning_step (
    warning text NOT NULL REFERENCES warning,
    revision integer NOT NULL,
    time timestamptz NOT NULL,
    kind text NOT NULL,
    by text NOT NULL,
    note text NOT NULL,
    state text NOT NULL,
    severity text NOT NULL,
    signal jsonb,
    fingerprint text,
    cap_type text,
    cap_reference text,
    cap text,
    PRIMARY KEY (warning, revision),
    UNIQUE (warning, fingerprint)
);

-- The authority that this installation serves: one row. Test until somebody says otherwise.
CREATE TABLE authority (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sender text NOT NULL,
    status text NOT NULL,
    scope text NOT NULL,
    restriction text NOT NULL,
    name text NOT NULL,
    valid_s integer NOT NULL
);
INSERT INTO authority (sender, status, scope, restriction, name, valid_s)
VALUES ('vedette@localhost', 'Test', 'Restricted', 'For the emergency centre and those it informs', 'Vedette', 3600);
