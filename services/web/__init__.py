"""Flask lives here: routes, doors, problems, the page."""
