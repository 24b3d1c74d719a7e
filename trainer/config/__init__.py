"""The types of the sections of the pipeline file that training owns."""
