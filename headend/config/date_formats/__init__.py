"""How instants and dates are written where Django writes them; found through FORMAT_MODULE_PATH."""
