"""The receiver and the fleet's pages: everything that runs where the blocks arrive."""
