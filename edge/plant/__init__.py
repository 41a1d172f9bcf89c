"""A simulated plant that speaks real protocols: machines that wear, and recordings, behind Modbus TCP and RTU.

It shares configuration and register packing with the gateway, and no protocol code: each checks the other.
"""
