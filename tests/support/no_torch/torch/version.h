// SPDX-License-Identifier: Apache-2.0
#pragma once

#define TORCH_VERSION "stand-in"
