"""The OPC UA aggregation server: every asset, tag, verdict and alarm of the gateway as one address space.

``room`` runs it; ``space`` makes nodes, ``model`` and ``alarms`` say which; ``admission`` decides whom to believe;
``guard``, ``session`` and ``connection`` bound what whoever connects may ask for, by the numbers in ``limits``. asyncua
is loaded only where a site has ``[north.opcua]``: the two take some 70 MB.
"""
