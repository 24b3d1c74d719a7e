"""Types of the pipeline file sections that training owns."""
