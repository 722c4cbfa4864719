"""The checks of ``manage.py doctor``. They use the services and the host as the deployment does."""
