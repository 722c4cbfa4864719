"""Attacks on a deployment, while an innocent client uses it. ``make attack`` runs them all and prints a table.

Every connection goes to a loopback address. The attackers call from 127.0.0.1 and the innocent client from
127.0.0.2, so that limits per address apply to the attackers only.
"""
