"""Private parts of TensorBoard: its copies of TensorFlow's messages, which import without TensorFlow.

Private: `tensorboard.compat`. TensorFlow's own messages take seconds to import, and `hubline check` reads a SavedModel.
"""

from tensorboard.compat.proto import meta_graph_pb2, op_def_pb2, types_pb2, variable_pb2

__all__ = ["meta_graph_pb2", "op_def_pb2", "types_pb2", "variable_pb2"]
