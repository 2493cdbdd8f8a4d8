"""Tables that one stage writes and others read: a file for what passes between them."""
