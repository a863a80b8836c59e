"""How far the numbers can be trusted, in words and pictures; and the report for people without a login."""
