"""How the network that counts crowds is made; `models.workshop.crowd.trainer` is the way in."""
