"""What is computed from signals before any model sees them: pure numpy, the same code on the gateway and in training.

``waveform`` describes one snapshot of a vibration signal; ``baseline`` learns what a healthy asset looks like under its
own load and speed; ``tracker`` follows an asset's departure from that baseline in hours of its own hour meter;
``factors`` follows the wear that many sensors see together under operating points that change.
"""
