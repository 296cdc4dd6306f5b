# SPDX-License-Identifier: Apache-2.0
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"    # before the kernel's module is loaded
