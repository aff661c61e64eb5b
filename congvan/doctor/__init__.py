"""`congvan doctor`: is everything there that a campaign needs? It looks, and changes nothing."""
