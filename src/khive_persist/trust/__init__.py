"""Whether what lies in a `.khive` is this user's own, and what of it is believed."""
