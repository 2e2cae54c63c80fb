"""What operators see of alarms and do to them: `cellvigil alarms`."""
