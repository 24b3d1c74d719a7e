"""Module of the stock Trainer."""

import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_transform as tft
from tfx import v1 as tfx
from tfx_bsl.public import tfxio

from benchmarks.stock.preprocessing import transformed_name


def _input_fn(
    file_pattern: list[str],
    data_accessor: tfx.components.DataAccessor,
    tf_transform_output: tft.TFTransformOutput,
    label: str,
    batch_size: int,
) -> tf.data.Dataset:
    return data_accessor.tf_dataset_factory(
        file_pattern,
        tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=transformed_name(label)),
        tf_transform_output.transformed_metadata.schema,
    ).repeat()


def _build_keras_model(config: dict) -> tf.keras.Model:
    image = tf.keras.layers.Input([*config["size"], 3], name=transformed_name(config["image"]))
    outputs = hub.KerasLayer(config["module"], trainable=False)(image)
    for units in config["hidden"]:
        outputs = tf.keras.layers.Dropout(config["dropout"])(outputs)
        outputs = tf.keras.layers.Dense(units, activation="relu")(outputs)
    outputs = tf.keras.layers.Dropout(config["dropout"])(outputs)
    outputs = tf.keras.layers.Dense(config["classes"], activation="softmax")(outputs)
    model = tf.keras.Model({transformed_name(config["image"]): image}, outputs)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(config["learning_rate"]),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(),
        metrics=[tf.keras.metrics.SparseCategoricalAccuracy()],
    )
    return model


def run_fn(fn_args: tfx.components.FnArgs) -> None:
    """Trains and exports, as TFX's Trainer calls it."""
    config = fn_args.custom_config
    tf_transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train_dataset, eval_dataset = (
        _input_fn(files, fn_args.data_accessor, tf_transform_output, config["label"], config["batch_size"])
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    with tf.distribute.MirroredStrategy().scope():
        model = _build_keras_model(config)
    model.fit(
        train_dataset,
        epochs=config["epochs"],
        steps_per_epoch=fn_args.train_steps // config["epochs"],
        validation_data=eval_dataset,
        validation_steps=fn_args.eval_steps,
        callbacks=[tf.keras.callbacks.TensorBoard(log_dir=fn_args.model_run_dir, update_freq="epoch")],
    )
    model.tft_layer = tf_transform_output.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve_tf_examples_fn(serialized_tf_examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw_feature_spec = tf_transform_output.raw_feature_spec()
        raw_feature_spec.pop(config["label"])
        raw_features = tf.io.parse_example(serialized_tf_examples, raw_feature_spec)
        transformed = model.tft_layer(raw_features)
        return {"outputs": model({transformed_name(config["image"]): transformed[transformed_name(config["image"])]})}

    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": serve_tf_examples_fn})
