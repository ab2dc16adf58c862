"""The containers: what docker-compose.yml promises, read and, where there is an engine, run."""
