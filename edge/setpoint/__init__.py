"""Setpoint contracts of a site: the folder in which they lie, and whether each fits."""

from edge.setpoint.fits import conflicts, problems, resolution
from edge.setpoint.folder import contracts_folder, documents, signed_contract

__all__ = ["conflicts", "contracts_folder", "documents", "problems", "resolution", "signed_contract"]
