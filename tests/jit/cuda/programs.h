// Loop kernels of all forms that run on devices, with arguments, and what they give on the CPU.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/kiln.h>

#include <string>
#include <vector>

namespace kiln::test {

/// A program, its arguments, and what the kernel itself makes of them.
struct Program {
    std::string name;
    ir::Kernel device;  // after the passes for devices
    std::vector<Array> arguments;
    std::vector<Array> expected;  // what the kernel gives on the CPU
    double tolerance = 0;         // relative, between the orders of CPU and device
};

std::vector<Array> copies(const std::vector<Array>& arrays);

/// Maps, sums, extremes with positions, running sums, loops in threads, histograms, loops over time,
/// loops that a result ends, whole-array statements.
std::vector<Program> device_programs();

}  // namespace kiln::test
