"""The stock way: TFX's standard components, wired as its own templates do it.

It does the job that a pipeline file describes, so that both ways are given the same data, split, module, head, epochs,
batch size, metrics and thresholds. Nothing in it is there to make it slow: images are materialised by Transform and
read through `data_accessor`, the model trains under MirroredStrategy, the Evaluator asks the signature
`serving_default`, and Beam has no arguments, all as in the templates `taxi` and `penguin`. Two things differ from them:
the cache is on, and `preprocessing_fn` and `run_fn` are given as import paths (as penguin does), since a module file
makes TFX build a wheel and install it by pip in each run.
"""
