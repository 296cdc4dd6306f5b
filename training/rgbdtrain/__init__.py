# SPDX-License-Identifier: Apache-2.0
"""Makes the embedded depth-refinement model: procedural data, sensor models, network, training, export."""
