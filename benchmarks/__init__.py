"""What Bachbox costs, measured on the machine at hand: ``make bench``.

Every figure comes from the running programs, not from a model of them. Bars are reported as
met or missed and never fail anything, because they hold for one machine; a measurement that
does not work says why, in its row and in the exit code.
"""
