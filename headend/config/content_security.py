"""The setting ``CONTENT_SECURITY_POLICY``: what a page of the portal may load."""

from __future__ import annotations

from csp.constants import NONE, SELF

# Pages load scripts, styles and images from this site only, and contain no inline scripts or styles.
POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
