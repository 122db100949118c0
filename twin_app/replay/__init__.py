"""A partition's past, told again from its logs, bit for bit; and two tellings compared.

Config log, clock log and seed determine every event. So any stretch of the past can be had again as long as both logs are kept
from the beginning, or from the last checkpoint on.
"""
