"""What people ask of a home: each module answers with tables and sentences, and prints nothing."""
