"""Picture fitting: a picture as a function of place; and what the other picture tasks share."""
