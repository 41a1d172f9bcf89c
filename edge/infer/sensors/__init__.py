"""Whether it is the sensor or the machine: what a judge must know before it believes a reading.

``charts``: control charts that notice a small shift early. ``signs``: what one sensor gives away by itself (stuck,
noisy, clipped, spiking). ``model``: what each signal should be, learned from the healthy asset. ``isolate``: which
sensor, or the machine, explains what stands off. ``redundancy``: sensors that measure the same thing vote. ``watch``
puts them together and says which sensors are not believed, since when, and by how much they are off.

Everything here is incremental, of bounded size, and goes on bit-equal after a restart.
"""
