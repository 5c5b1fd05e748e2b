"""Who is who: customers, their datasets and programs, and references to people."""
