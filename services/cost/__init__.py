"""What text weighs, what it costs, what a model can hold."""
