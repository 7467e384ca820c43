"""What the tool is measured against."""
