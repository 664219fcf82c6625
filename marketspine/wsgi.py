"""The WSGI application: `gunicorn marketspine.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from marketspine.startup import GUNICORN_GIVES_UP, require_sound_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "marketspine.settings")

require_sound_settings(GUNICORN_GIVES_UP)
application = get_wsgi_application()
