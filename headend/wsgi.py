"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from headend.config.checks import refuse_wrong_settings
from headend.http.caller_address import CallerAddress
from headend.http.public_path import without_public_path
from headend.http.usable_headers import with_usable_headers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
application = CallerAddress(without_public_path(with_usable_headers(get_wsgi_application())))
refuse_wrong_settings()
