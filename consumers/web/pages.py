"""A `Site` in, the routes of all pages and of the static files out."""

from fastapi import APIRouter

from consumers.web import audit, bulk, failures, live, overview, review, spend, story, workflows
from consumers.web.site import Site


def router(site: Site) -> APIRouter:
    """Every page, and what pages refer to."""
    routes = APIRouter(include_in_schema=False)
    pictures = overview.Pictures(site)
    overview.add(routes, site, pictures)
    live.add(routes, site, pictures)
    workflows.add(routes, site, pictures)
    for page in (bulk, review, audit, failures, spend, story):
        page.add(routes, site)
    routes.include_router(site.assets.router)
    return routes
