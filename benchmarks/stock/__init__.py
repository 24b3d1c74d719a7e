"""Stock TFX: standard components, connected as in TFX's own templates.

It performs the job of a pipeline file, so that both sides have the same data, split, module, head, epochs, batch size,
metrics and thresholds. Nothing in it is made slow on purpose: Transform materializes images, which are read through
`data_accessor`, the model trains under MirroredStrategy, the Evaluator calls the signature `serving_default`, and Beam
has no arguments, all as in the templates `taxi` and `penguin`. There are two differences: the cache is on, and
`preprocessing_fn` and `run_fn` are passed as import paths (as in penguin), because with a module file TFX would build a
wheel and install it with pip in each run.
"""
