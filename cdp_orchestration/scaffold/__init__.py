"""`cdp new`: the files of a new attribute, audience, sync, source or destination, as README's "How to add …" has them."""
