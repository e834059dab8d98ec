"""Frontends that send the sound elsewhere: to an Icecast server, and to other rooms."""
