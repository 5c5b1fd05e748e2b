"""The API: what is the same for every call, and what each kind of call does."""
