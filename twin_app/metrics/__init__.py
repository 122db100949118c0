"""What a worker counts and measures, for Prometheus: declared in one catalogue, so that dashboards and alerts can be checked."""
