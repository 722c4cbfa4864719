"""The portal: every HTML page for operators and supplier users, except the admin."""
