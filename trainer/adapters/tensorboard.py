"""Private APIs of TensorBoard: its copies of TensorFlow's messages, which can be imported without TensorFlow.

Private: `tensorboard.compat`. TensorFlow's own messages take seconds to import, and `hubline check` reads SavedModels.
"""

from tensorboard.compat.proto import meta_graph_pb2, op_def_pb2, types_pb2, variable_pb2

__all__ = ["meta_graph_pb2", "op_def_pb2", "types_pb2", "variable_pb2"]
