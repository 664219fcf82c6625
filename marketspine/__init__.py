"""Wiring: settings and, as the product grows, the Celery application and the URLs."""
