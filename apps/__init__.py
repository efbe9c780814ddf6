"""What people and programs touch: the REST API, the pages, the command line."""
