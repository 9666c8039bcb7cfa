"""What runs a release's artefact: one module a library, each imported only when it is asked for."""
