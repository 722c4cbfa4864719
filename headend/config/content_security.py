"""What a page of the portal may load."""

from __future__ import annotations

# Pages load scripts, styles and images from this site only, and contain no inline scripts or styles.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""The value of the header ``Content-Security-Policy``."""
