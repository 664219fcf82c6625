"""The dashboard for Grafana, and the script that makes it."""
