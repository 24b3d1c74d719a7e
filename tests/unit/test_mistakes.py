"""Mistakes in pipeline files, each a small edit of a good one, with every line that `hubline check` says of them."""

from pathlib import Path

import pytest
import tensorflow as tf

from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.preflight import check
from tests.support import example_data, hub_modules
from tests.support.pipeline_files import TRIPS

COLUMNS = "known here: company, day, fare, hour, miles, photo, tip, tips"
KINDS = "known here: audio, bucketized, categorical, crossed, image, numeric, sequence, text, timestamp, video"
OF_CLASS = (
    "these do: accuracy, cross_entropy, auc, pr_auc, top_<k>_accuracy, macro_precision, macro_recall, macro_f1, "
    "micro_f1, precision(<class>), recall(<class>), f1(<class>), auc(<class>), pr_auc(<class>)"
)
FIRST = "data/0.gz: the column"
LABEL = "data/0.gz: the label"
MISSPELT_METRIC = (
    "the metrics are: accuracy, cross_entropy, auc, pr_auc, top_<k>_accuracy, precision, recall, f1, micro_f1, "
    "macro_precision, macro_recall, macro_f1, binary_accuracy, exact_match, rmse, mae, r2, mean_iou, iou_50, "
    "pixel_accuracy, precision(<class>), recall(<class>), f1(<class>), auc(<class>), pr_auc(<class>), iou(<class>)"
)
PHOTO = "photo: {kind: image, size: [16, 16]%s}"
LENET = "backbones: {net: {kind: lenet5, input: photo}}\nlabel:\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Data of two files, and a table that is none."""
    folder = tmp_path_factory.mktemp("trips")
    records = [
        example_data.record(
            company=("Flash", "Sun", "Blue")[n % 3],
            day=f"2024-01-{n % 9 + 1:02}",
            fare=3.5 + n,
            hour=n % 24,
            miles=0.5 * n,
            photo=example_data.random_image(n),
            tip=("no", "yes")[n % 2],
            tips=float(n % 5),
        )
        for n in range(30)
    ]
    for number in range(2):
        part = records[15 * number : 15 * (number + 1)]
        example_data.write_tfrecord(folder / "data" / f"{number}.gz", part, "GZIP")
    hub_modules.module(folder / "nets" / "mean", hub_modules.IMAGES, lambda images: tf.reduce_mean(images, [1, 2]))
    (folder / "table.csv").write_text("fare,tip\n3.5,no\n")
    return folder


def lines(folder: Path, text: str) -> list[str]:
    """What is said of a file, without the folder's path: the errors, or else the warnings."""
    path = folder / "pipeline.yaml"
    path.write_text(text)
    try:
        _, _, warnings = check(path)
        said = "\n".join(map(str, warnings))
    except PipelineFileError as error:
        said = str(error)
    return said.replace(f"{folder}/", "").replace("pipeline.yaml:", "").splitlines()


def test_the_file_before_the_edits_is_good(folder: Path) -> None:
    assert lines(folder, TRIPS) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # Keys
        ("training:", "trainig:", "17: trainig: unknown key; did you mean 'training'? known here: task, name, data, "
         "features, label, hubs, backbones, model, training, tune, evaluation, export, serving, beam, kubeflow"),
        ("validation: 1", "val: 1", "4: data.split.val: unknown key; did you mean 'validation'? known here: train, "
         "validation, test, group, stratify"),
        ("{destination:", "{dest:", "26: serving.dest: unknown key; did you mean 'destination'? known here: "
         "destination, push, check, approval, keep, card, kserve"),
        ("at_least: 0.6", "min: 0.6", "25: evaluation.thresholds.accuracy.min: unknown key; known here: at_least, "
         "at_most, no_worse_than_serving_by, every_slice"),
        ("missing: median", "mising: median", "7: features.miles.mising: unknown key; did you mean 'missing'? known "
         "here: kind, from, normalize, missing, length, shape, missing_indicator"),
        ("kind: class", "kind: clas", "12: label.kind: 'clas' is not known here; did you mean 'class'? known here: "
         "binary, class, class_and_box, multilabel, pixels, regression"),
        ("{kind: numeric, normalize: z_score}", "{kind: number}", "6: features.fare.kind: 'number' is not known here; "
         f"did you mean 'numeric'? {KINDS}"),
        ("{kind: numeric, normalize: z_score}", "{normalize: z_score}", "6: features.fare.kind: missing; "
         f"{KINDS}"),
        ("name: adam", "name: adm", "20: training.optimizer.name: 'adm' is not known here; did you mean 'adam'? known "
         "here: adadelta, adagrad, adam, adamax, adamw, lion, nadam, rmsprop, sgd"),
        ("missing: median", "missing: mode", "7: features.miles.missing: 'mode' is not known here; did you mean "
         "'mean'? known here: mean, median"),
        ("serving: {destination: serving}", "serving: serving", "26: serving: must be a mapping with the keys "
         "destination, push, check, approval, keep, card, kserve; got 'serving'"),
        # Numbers
        ("epochs: 4", "epochs: 4,", "18: training.epochs: must be a number; write 4; got '4,'"),
        ("at_least: 0.6", "at_least: 60%", "25: evaluation.thresholds.accuracy.at_least: must be a number without a "
         "percent sign: 60 % is 0.6; got '60%'"),
        ("at_least: 0.6", "at_least: 0,6", "25: not YAML: column 27: a decimal number has a point; write 0.6"),
        ("train: 8, validation: 1, test: 1", "train: 0.7, validation: 0.15, test: 0.15", "4: data.split: sizes are "
         "whole numbers in proportion to each other; write {train: 14, validation: 3, test: 3}"),
        ("epochs: 4", "epochs: many", "18: training.epochs: input should be a valid integer, unable to parse string as "
         "an integer; got 'many' (number of passes over the training split. With `early_stopping`, the maximum. Set "
         "one of `epochs`, `steps` and `examples`, such as 10)"),
        ("dropout: 0.1", "dropout: 10", "16: model.head.dropout: input should be less than 1; got 10 (dropout rate "
         "before each dense layer; for a `pixels` label, fraction of channels dropped before each upsampling step)"),
        # Metrics
        ("at_least: 0.6", "at_most: 0.6", "25: evaluation.thresholds.accuracy.at_most: a higher accuracy is better, so "
         "that at_most refuses the better models; use at_least"),
        ("accuracy: {at_least: 0.6}", "cross_entropy: {at_least: 0.6}", "25: "
         "evaluation.thresholds.cross_entropy.at_least: a lower cross_entropy is better, so that at_least refuses the "
         "better models; use at_most"),
        ("accuracy: {at_least: 0.6}", "auc: {at_least: 90}", "25: evaluation.thresholds.auc.at_least: auc is from 0 to "
         "1, and 90 is not; 90 % is 0.9"),
        ("accuracy: {at_least: 0.6}", "cross_entropy: {at_most: -1}", "25: "
         "evaluation.thresholds.cross_entropy.at_most: cross_entropy is at least 0, and -1 is not"),
        ("accuracy: {at_least: 0.6}", "rmse: {at_most: 3}", "25: evaluation.thresholds.rmse: rmse does not fit a label "
         f"of kind class; {OF_CLASS}"),
        ("cross_entropy, auc", "roc_auc", "22: evaluation.metrics[1]: 'roc_auc' is not a metric; did you mean 'auc'? "
         f"{MISSPELT_METRIC}"),
        ("cross_entropy, auc", "top_2_accuracy", "22: evaluation.metrics[1]: top_2_accuracy is 1 for every model, as "
         "there are only 2 classes; use a smaller number"),
        ("cross_entropy, auc", "recall(maybe)", "22: evaluation.metrics[1]: recall(maybe): there is no class 'maybe'; "
         "the classes are: no, yes"),
        ("batch_size: 16", "early_stopping: {monitor: val_acc}", "19: training.early_stopping.monitor: 'acc' is not a "
         f"metric; did you mean 'accuracy'? {MISSPELT_METRIC}"),
        ("batch_size: 16", "class_weights: {no: 1, maybe: 2}", "19: training.class_weights.maybe: 'maybe' is no class "
         "of the label; its classes are: no, yes"),
        # Splits
        ("test: 1}", "test: 1, group: compny}", "4: data.split.group: data/0.gz: the first record has no group "
         f"'compny'; did you mean 'company'? {COLUMNS}"),
        ("test: 1}", "test: 1, group: fare}", "4: data.split.group: data/0.gz: the group 'fare' of the first record is "
         "the float 3.5; it must be a text or an integer"),
        ("test: 1}", "test: 1, group: tip}", "4: data.split.group: 'tip' is what the label is made from, so that no "
         "split would have all classes; name the column of what the records belong to, such as a patient or a user"),
        ("test: 1}", "test: 1, stratify: tap}", "4: data.split.stratify: data/0.gz: the first record has no class to "
         f"stratify by 'tap'; did you mean 'tip'? {COLUMNS}"),
        # Files
        ("data/*.gz", "dta/*.gz", "3: data.examples: dta/*.gz: no files matched; data.examples must be a folder or a "
         "glob of TFRecord files"),
        ("data/*.gz", "table.csv", "3: data.examples: table.csv: not a TFRecord file; `hubline convert csv` makes "
         "TFRecords of such files"),
        ("data/*.gz\n  split: {train: 8, validation: 1, test: 1}", "data\n  split: {train: '*', validation: '1.gz', "
         "test: /nowhere/x}", "4: data.split.test: /nowhere/x: no files matched; data.examples must be a folder or a "
         "glob of TFRecord files\n4: data.split.validation: data/1.gz: also matches data/* of data.split.train, "
         "besides data/1.gz; each file must be in one split only"),
        ("{destination: serving}", "{destination: table.csv/serving}", "26: serving.destination: table.csv/serving: "
         "the serving folder can't be made, as table.csv is a file"),
        ("label:\n", "hubs: {net: {handle: nets/a, inputs: {x: fare}}}\nlabel:\n", "11: hubs.net.handle: nets/a: there "
         "is no hub module here; a handle is a folder, a .tar.gz archive, gs://, s3://, or an address on tfhub.dev or "
         "Kaggle"),
        *(
            ("zone: {kind: bucketized, from: miles, buckets: 4}\nlabel:\n",
             f"photo: {{kind: image, size: {size}}}\n"
             f"hubs: {{net: {{handle: nets/mean, inputs: {{images: photo}}{more}}}}}\nlabel:\n",
             f"11: hubs.net: nets/mean: {said}")
            for size, more, said in (
                ("[9, 8]", "", "the module's input 'inputs' takes float32[?, 8, 8, 3], but the feature 'photo' gives "
                 "float32[?, 9, 8, 3]; give the feature size: [8, 8] and channels: 3"),
                ("[8, 8]", ", pool: mean", "the module's output 'default' is float32[?, 3]: there is nothing to pool; "
                 "remove `pool`"),
                ("[8, 8]", ", output: vec, pool: mean", "the module has no output 'vec'; its outputs are: default"),
                ("[8, 8]", ", signature: images", "the module has no signature 'images'; its signatures are: "
                 "serving_default"),
            )
        ),
        # Columns
        ("fare: {", "fares: {", f"6: features.fares: no record has a column 'fares'; did you mean 'fare'? {COLUMNS}"),
        ("from: miles", "from: mile", f"10: features.zone.from: no record has a column 'mile'; did you mean 'miles'? "
         f"{COLUMNS}"),
        ("[[company]]", "[[hour, compny]]", "23: evaluation.slices[0]: no record has a column 'compny'; did you mean "
         f"'company'? {COLUMNS}"),
        ("from: tip", "from: tipp", "13: label.from: data/0.gz: the first record has no label 'tipp'; did you mean "
         f"'tip'? {COLUMNS}"),
        ("batch_size: 16", "sample_weight: wight", "19: training.sample_weight: data/0.gz: the first record has no "
         f"sample weight 'wight'; {COLUMNS}"),
        ("batch_size: 16", "sample_weight: company", "19: training.sample_weight: data/0.gz: the sample weight "
         "'company' of the first record is the text 'Flash'; it must be a number"),
        ("data/*.gz\n", "data/*.gz\n  where: farre > 3\n", "4: data.where: no record has a column 'farre'; did you "
         f"mean 'fare'? {COLUMNS}"),
        ("data/*.gz\n", "data/*.gz\n  where: company > 3\n", "4: data.where: the column 'company' holds texts; a text "
         "is written in single quotes, and compared by == or !="),
        # Types
        ("fare: {kind: numeric, normalize: z_score}", "name: {kind: numeric, from: company}", "6: features.name.from: "
         f"{FIRST} 'company' of the first record holds texts, and kind: numeric takes integers or floats; texts are "
         "for kind: categorical, text or timestamp"),
        ("{kind: categorical, identity: 24}", "{kind: categorical, from: fare}", f"9: features.hour.from: {FIRST} "
         "'fare' of the first record holds floats, and kind: categorical takes integers or texts; floats are for "
         "kind: numeric or bucketized"),
        ("{kind: categorical, identity: 24}", "{kind: timestamp, part: hour, from: fare}", f"9: features.hour.from: "
         f"{FIRST} 'fare' of the first record holds floats, and kind: timestamp takes integers or texts; floats are "
         "for kind: numeric or bucketized"),
        # Labels
        ("[no, yes]", "[no, maybe]", f"13: label.from: {LABEL} 'tip' of record 1 (counted from 0) is 'yes', none of "
         "the classes; did you mean 'maybe'? known here: no, maybe"),
        ("[no, yes]", "[No, Yes]", f"13: label.from: {LABEL} 'tip' of the first record is 'no', none of the classes; "
         "did you mean 'No'? known here: No, Yes"),
        ("kind: class\n  from: tip\n  classes: [no, yes]", "kind: binary\n  from: tip\n  classes: [no, yse]", f"13: "
         f"label.from: {LABEL} 'tip' of record 1 (counted from 0) is 'yes', none of the classes; did you mean 'yse'? "
         "known here: no, yse"),
        ("kind: class\n  from: tip\n  classes: [no, yes]", "kind: binary\n  from: tip\n  above: 3", f"13: "
         f"label.from: {LABEL} 'tip' of the first record is the text 'no'; it must be a number; texts are for kind: "
         "class, or binary without `above`"),
        ("from: tip\n", "from: tips\n", f"13: label.from: {LABEL} 'tips' of the first record is the float 0; a class "
         "is an integer or a string, kind: regression a number"),
        ("from: tip\n", "from: hour\n", f"13: label.from: {LABEL} 'hour' of record 2 (counted from 0) is 2; integers "
         "are positions in `classes`, from 0 to 1"),
        ("kind: class\n  from: tip\n", "kind: binary\n  where: tipps > 0.2 * fare\n", "13: label.where: data/0.gz: the "
         f"first record has no label 'tipps'; did you mean 'tips'? {COLUMNS}"),
        ("kind: class\n  from: tip\n", "kind: binary\n  where: tips >> 3\n", "13: label.where: 'tips >> 3' is not one "
         "comparison, such as tips > 0.2 * fare"),
        # Images
        ("zone: {kind: bucketized, from: miles, buckets: 4}\nlabel:\n", PHOTO % ", from: foto" + f"\n{LENET}",
         f"10: features.photo.from: data/0.gz: the first record has no image 'foto'; did you mean 'photo'? {COLUMNS}"),
        ("zone: {kind: bucketized, from: miles, buckets: 4}\nlabel:\n", PHOTO % ", from: tip" + f"\n{LENET}",
         "10: features.photo.from: data/0.gz: the image 'tip' of the first record is not a JPEG, PNG, GIF, or BMP "
         "of 8, 24 or 32 bits a pixel without compression: it begins with b'no'"),
        ("zone: {kind: bucketized, from: miles, buckets: 4}\nlabel:\n",
         PHOTO % ", decode: {kind: raw, shape: [8, 8, 3]}, from: tip" + f"\n{LENET}",
         "10: features.photo.from: data/0.gz: the image 'tip' of the first record has 2 bytes; uint8 [8, 8, 3] has "
         "192"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_once_at_its_line_with_what_would_be_right(
    folder: Path, old: str, new: str, expected: str
) -> None:
    assert old in TRIPS
    assert lines(folder, TRIPS.replace(old, new, 1)) == expected.splitlines()


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (  # the schema, a path and the meaning
            {"batch_size: 16": "batchsize: 16", "data/*.gz": "dta/*.gz", "{at_least: 0.6}": "{at_least: 60}"},
            ["3: data.examples: dta/*.gz: no files", "19: training.batchsize: unknown", "25: evaluation.thresholds"],
        ),
        (  # in one section
            {"[accuracy, ": "[acuracy, ", "accuracy: {at_least: 0.6}": "rmse: {at_most: 3}"},
            ["22: evaluation.metrics[0]: 'acuracy' is not a metric", "25: evaluation.thresholds.rmse: rmse does not"],
        ),
        (  # among features
            {"numeric, normalize: z_score": "numbr", "company: {": "compny: {", "buckets: 4": "bukets: 4"},
            [
                "6: features.fare.kind: 'numbr' is not",
                "8: features.compny: no record has a column 'compny'; did you mean 'company'",
                "10: features.zone.bukets: unknown key; did you mean 'buckets'",
            ],
        ),
        (  # of a feature that crosses name, whatever is wrong with it; and of a column that one names
            {
                "fare: {kind: numeric, normalize: z_score}": "fare: {kind: bucketised, buckets: 4}",
                "hour: {": "hours: {",
                "zone: {kind: bucketized, from: miles, buckets: 4}": "clock: {kind: catgorical, from: hour}\n"
                "  both: {kind: crossed, of: [hours, clock, fare, dy], hash_buckets: 9}",
            },
            [
                "6: features.fare.kind: 'bucketised' is not known here; did you mean 'bucketized'",
                "9: features.hours: no record has a column 'hours'; did you mean 'hour'",
                "10: features.clock.kind: 'catgorical' is not known here; did you mean 'categorical'",
                "11: features.both.of: no record has a column 'dy'; did you mean 'day'",
            ],
        ),
        (  # a label of another kind, with what hangs on it
            {"validation: 1": "valid: 1", "kind: class\n": "kind: regression\n", "  classes: [no, yes]\n": ""},
            [
                "4: data.split.valid: unknown key; did you mean 'validation'",
                "13: label.from: data/0.gz: the label 'tip' of the first record is the text 'no'; it must be a number",
                "21: evaluation.metrics[0]: accuracy does not fit a label of kind regression; these do: rmse, mae, r2",
                "21: evaluation.metrics[1]: cross_entropy does not fit a label of kind regression; these do: rmse",
                "21: evaluation.metrics[2]: auc does not fit a label of kind regression; these do: rmse, mae, r2",
                "24: evaluation.thresholds.accuracy: accuracy does not fit a label of kind regression; these do: rmse",
            ],
        ),
        (  # YAML's own, and a column
            {"epochs: 4": "epochs:4", "from: tip": "from: tipp"},
            ["13: label.from: data/0.gz: the first record has no label 'tipp'", "18: not YAML: column 9: a space"],
        ),
    ],
)  # fmt: skip
def test_several_mistakes_are_all_said_at_once(folder: Path, edits: dict[str, str], expected: list[str]) -> None:
    text = TRIPS
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    found = lines(folder, text)
    assert len(found) == len(expected)
    assert all(said.startswith(begin) for said, begin in zip(found, expected, strict=True)), found


def test_what_a_few_records_cannot_prove_is_not_an_error(folder: Path, monkeypatch) -> None:
    from hubline.pipeline.looks import sample

    one_class = TRIPS.replace("[no, yes]", "[no, yes, never]")
    assert lines(folder, one_class) == []  # a class that the sample lacks may follow
    monkeypatch.setattr(sample, "has_column", lambda *_: None)  # as if there were no time for all of the data
    (warning,) = lines(folder, TRIPS.replace("fare: {", "fares: {"))
    assert warning == f"6: features.fares: none of 15 records has a column 'fares'; did you mean 'fare'? {COLUMNS}"
