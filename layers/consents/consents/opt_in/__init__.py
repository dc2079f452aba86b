"""Double opt-in: challenges by text message, and what contacts text back."""
