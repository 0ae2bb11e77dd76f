"""The backends: each module is one kind of place where objects lie, and none of them knows another."""
