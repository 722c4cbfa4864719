"""The supervisor of the deployment's processes, which imports neither Django nor Celery."""
