"""The dbt project: staging, intermediate and marts. `transform.dbt` runs it."""
