"""The gateway as a Sparkplug B edge node: each asset is a device, each of its tags, judgements and alarms a metric.

The gateway's own alarms are metrics of the node itself.
"""
