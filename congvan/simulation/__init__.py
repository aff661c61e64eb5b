"""A seeded world that hates the engine: virtual time, faults, and the invariants after every step."""
