"""What all HTML pages share: how templates are read, one style sheet, small pictures."""
