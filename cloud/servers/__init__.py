"""The servers that come with Vedette: PostgreSQL and an MQTT broker, from wheels, without root and without Docker."""
