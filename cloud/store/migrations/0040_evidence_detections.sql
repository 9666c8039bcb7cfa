-- What the event saw in this very picture: the event's own boxes are those of its latest revision.
ALTER TABLE evidence ADD COLUMN detections jsonb NOT NULL DEFAULT '[]';
