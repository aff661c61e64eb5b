"""What the parties do. One act is one function and one transaction; nothing else opens one that writes."""
