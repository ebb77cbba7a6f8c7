"""What is written about Gloss, and the tables in it that are made from the code."""
