"""Pure: what was observed → conditions, and what is allowed."""
