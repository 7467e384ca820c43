"""A run, told to the tools that watch it: metrics for Prometheus, traces for OpenTelemetry. Observers, nothing more."""
