"""How other systems read the gateway. Each way is a room of its own behind the port ``North``, loaded where configured.

They are told what happens by plain calls that neither wait nor raise, and they can neither delay a poll nor stop one.
"""
