"""PostgreSQL: the tables, how to reach them, how to ask them."""
