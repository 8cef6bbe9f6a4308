"""PostgreSQL, Redis and Apache Kafka on a bare machine, without containers: `python -m infra.local up`.

Standard library only: it runs before the virtual environment exists.
"""
