"""What was delivered, handed to the data lake: one interface, one module for each kind of target."""
