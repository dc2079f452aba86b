"""All that knows AWS."""

import gc

# What a function imports stays for good. To look through it for garbage, again and again while it
# is made, takes a tenth of a cold start; a call of 1000 records makes less than this.
gc.set_threshold(100_000)
