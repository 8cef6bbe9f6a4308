"""The web pages: templates and static files here, one module for each page."""
