"""How organisations get back what concerns them: feed, webhooks, their own topic, and what they were refused."""
