"""What is computed from signals before any model sees them: pure numpy, the same code on the gateway and in training.

``describe`` makes named features of one snapshot of vibration, from its ``waveform`` statistics and one ``spectrum``
(velocity, bands, ``envelope``), in the ``units`` that were declared; ``comb`` and ``fault`` tell which part of a
``bearing`` is damaged, ``severity`` in which zone the velocity lies, and ``inputs`` are a description as a model takes
it. ``slow`` and ``duty`` follow temperature, load and operating hours, ``regime`` a signal against its own regime of
speed and load.

``baseline`` learns what a healthy asset looks like under its
own load and speed; ``tracker`` follows an asset's departure from that baseline in hours of its own hour meter;
``factors`` follows the wear that many sensors see together under operating points that change.
"""
