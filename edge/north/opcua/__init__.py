"""The OPC UA aggregation server: every asset, tag, verdict and alarm of the gateway as one address space.

``room`` runs it; ``space`` makes nodes, ``model`` and ``alarms`` say which; ``admission`` decides whom to believe, and
``guard`` bounds what whoever connects may ask for. asyncua (48 MB) is loaded only where a site has ``[north.opcua]``.
"""
