"""kopf's side: it delivers objects and says when the operator starts; nothing is decided here."""
