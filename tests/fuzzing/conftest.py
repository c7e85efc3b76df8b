"""How many documents hypothesis thinks of: a few in CI, the same each time, or many."""

from hypothesis import HealthCheck, settings

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}

settings.register_profile("few", max_examples=60, derandomize=True, **SETTINGS)
settings.register_profile("many", max_examples=3000, **SETTINGS)
settings.load_profile("few")
