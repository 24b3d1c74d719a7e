"""Finds uses of private APIs of libraries in source code."""

import ast
import re
from collections.abc import Iterator

PRIVATE = {
    r"(.+\.)?_[a-z].*": "a module with an underscore",
    r"(keras|tf_keras)\.src(\..*)?": "Keras' sources",
    r"tensorflow\.(python|core|compiler|lite\.python)(\..*)?": "only `tensorflow` is TensorFlow's API",
    r"tensorboard\.compat(\..*)?": "TensorBoard's copies of TensorFlow",
    r"tensorflow_data_validation\..*": "only the top of the package is TFDV's API",
    r"tensorflow_model_analysis\.(?!proto(\.|$)).*": "only the top of the package, and its messages, are TFMA's API",
    r"tfx_bsl(\.(?!public(\.|$)).*)?": "only `tfx_bsl.public` is its API",
    r"tfx\.orchestration\.(?!(metadata|pipeline)(\.|$)).*": "TFX exports metadata and pipelines of these",
    r"tfx\.components\.(?!\w+\.component(\.|$)).*": "of components TFX exports their classes",
    r"tfx\.dsl\.compiler(\..*)?": "TFX's compiler",
    r"apache_beam\.(internal|runners)(\..*)?": "Beam's runners",
    r"kfp_server_api\.(rest|api_client)(\..*)?": "what is below kfp's client",
    r"unittest(\..*)?": "mocks are for tests",
}
"""Patterns of library modules that are private, each with the reason."""

PROTECTED = {"_make_beam_pipeline", "_get_tmp_dir", "_beam_pipeline_args"}
"""Methods and fields of TFX's executors that are meant for subclasses."""

PUBLIC = {"_replace", "_asdict", "_fields", "_attributes", "_exit"}
"""Public in spite of the underscore: methods of named tuples, fields of `ast` nodes, and `os._exit`."""

_INSIDE = {"__internal__", "python", "src"}


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """Uses of private APIs in a module: line, and what is used."""
    tree = ast.parse(source)
    own, libraries = _own_names(tree), _libraries(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if reason := _reason(alias.name):
                        yield node.lineno, f"{alias.name}: {reason}"
            case ast.ImportFrom(module=str(name), names=names):
                for alias in names:
                    if not name.startswith("hubline") and (reason := _reason(f"{name}.{alias.name}")):
                        yield node.lineno, f"{name}.{alias.name}: {reason}"
            case ast.Attribute(value=ast.Name(id="tf" | "tensorflow"), attr=name) if name in _INSIDE:
                yield node.lineno, f"tf.{name}"
            case ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
                yield node.lineno, "sys.modules"
            case ast.Attribute(attr=name, ctx=ast.Load()) if _is_private(name) and name not in own:
                yield node.lineno, name
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                if _is_private(name):
                    yield node.lineno, name
        if isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute) and (root := _root(target)) in libraries:
                    yield node.lineno, f"{ast.unparse(target)} is replaced, which belongs to {root}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr" and _root(node.args[0]) in libraries:
            yield node.lineno, f"setattr of {ast.unparse(node.args[0])}"


def _libraries(tree: ast.Module) -> set[str]:
    """Names in a module that refer to a library, or to something imported from one."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("hubline"):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _own_names(tree: ast.Module) -> set[str]:
    """Names of functions, classes, variables and attributes that a module defines."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def _reason(name: str) -> str | None:
    """Why a module, or something imported from one, is private."""
    return next((reason for pattern, reason in PRIVATE.items() if re.fullmatch(pattern, name)), None)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC | PROTECTED


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
