"""How Django writes dates and times in pages and forms; ``FORMAT_MODULE_PATH`` names this package."""
