"""Wiring: settings, the Celery application, the URLs."""

from marketspine.celery import app as celery_app

__all__ = ["celery_app"]
