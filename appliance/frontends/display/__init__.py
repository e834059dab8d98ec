"""A small display: what plays, on an OLED or on two or four lines of text.

``screens`` says what is shown, ``panels`` draws it, ``display_frontend`` does so when it changes.
"""
