"""Pages that people read: templates and words, stamps, errors. What a page asks is a feature's."""
