"""When: the flows that Prefect schedules, runs and shows. What they do stands in tasks/, why in congvan/."""
