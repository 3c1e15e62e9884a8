// The parts of the Python face that have files of their own.
#pragma once
#include <nanobind/nanobind.h>

void bind_stamps(nanobind::module_& m);
