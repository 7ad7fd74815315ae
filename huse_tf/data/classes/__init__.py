"""Class paths, taxonomies and class trees."""
