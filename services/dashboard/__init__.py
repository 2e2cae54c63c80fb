"""The operator's page: every flask at a glance, why it is so, and what to do about it; read from the state folder."""
