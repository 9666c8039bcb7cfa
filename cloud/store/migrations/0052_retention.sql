-- What ends by its age is found by it.
CREATE INDEX event_plate ON event (time) WHERE kind = 'plate';
CREATE INDEX evidence_arrived ON evidence (arrived);
CREATE INDEX evidence_file_arrived ON evidence_file (arrived);
