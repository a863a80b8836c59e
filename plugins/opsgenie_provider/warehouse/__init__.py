"""How rows get into PostgreSQL, and what is known there about earlier runs."""
