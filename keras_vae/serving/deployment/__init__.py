"""What lies around servables in production: warm-up requests, model cards, configurations."""
