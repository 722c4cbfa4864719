"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from headend.http.chunked_bodies import with_known_length

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
application = with_known_length(get_wsgi_application())
