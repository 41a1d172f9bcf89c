"""The gateway: everything that runs on the factory floor and needs no cloud."""
