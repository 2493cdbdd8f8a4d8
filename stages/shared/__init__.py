"""What several stages need. A module that only one stage uses belongs in that stage's folder."""
