"""Culture: the rolling state of a flask and its alarms, a pure fold over stored rows."""
