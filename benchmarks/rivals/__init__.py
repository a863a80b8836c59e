"""The tools that our sync is compared with. Each runs in its own environment: see environments.py."""
