"""What Bachbox costs and how quickly it reacts, measured on the machine at hand: ``make bench``.

Every figure comes from the running programs, not from a model of them. Bars are reported as met,
missed or not judged, and never fail anything, because they hold for one machine; a measurement
that does not work says why, on the page and in the exit code.
"""
